//! What can go wrong in an RPC, one variant per thing a caller can do something about.

use common::{
    error_code::{ErrorCode, PublicError},
    rpc::Refusal,
};

use crate::{
    channel_book::ChannelError,
    channels::{ChannelConfigError, ConfigProblem},
    domain::{FieldError, OrderState, Overdrawn, Owner},
    store::{
        LedgerError, PostError, StoreError,
        orders::{CreateError, RefundError},
        outbox::RedeliverError,
    },
};

/// Why a wallet was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetWalletError {
    #[error("{field} must be a positive integer below 2^53")]
    Id { field: &'static str },
    #[error("the wallet can't be read")]
    Ledger(#[from] LedgerError),
}

/// Why nothing was spent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpendError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error("nothing was posted: {0}")]
    Post(#[from] PostError),
}

/// Why something about an order was not done, or not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error("there is no such order")]
    NoSuchOrder,
    #[error("the idempotency key was used for another order")]
    KeyReused,
    #[error("an order that is {0} does not allow this")]
    StateForbids(OrderState),
    #[error("the wallet no longer holds what the order brought")]
    Spent,
    /// There is no such channel, or not here.
    #[error("there is no such channel")]
    NoSuchChannel,
    #[error("there is no such product")]
    NoSuchProduct,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// What account knows could not be asked.
    #[error("account could not be asked: {0}")]
    Account(PublicError),
}

impl Refusal for GetWalletError {
    fn public(&self) -> PublicError {
        match self {
            Self::Id { field } => PublicError::invalid(*field, "must be a positive integer below 2^53"),
            Self::Ledger(error) => of_ledger(error),
        }
    }
}

impl Refusal for SpendError {
    fn public(&self) -> PublicError {
        match self {
            Self::Field(FieldError { field, reason }) => PublicError::invalid(*field, reason.to_string()),
            Self::Post(PostError::Overdrawn { owner: Owner::Player(_), reason: Overdrawn::Insufficient, .. }) => {
                PublicError::new(ErrorCode::INSUFFICIENT_BALANCE).detail("amount", "is more than the wallet holds")
            }
            Self::Post(PostError::Overdrawn { .. }) => PublicError::internal(),
            Self::Post(PostError::KeyReused) => PublicError::new(ErrorCode::IDEMPOTENCY_KEY_REUSED),
            Self::Post(PostError::Raced) => PublicError::new(ErrorCode::OVERLOADED),
            Self::Post(PostError::Ledger(error)) => of_ledger(error),
        }
    }
}

impl Refusal for OrderError {
    fn public(&self) -> PublicError {
        match self {
            Self::Field(FieldError { field, reason }) => PublicError::invalid(*field, reason.to_string()),
            Self::NoSuchOrder => PublicError::new(ErrorCode::NO_SUCH_ORDER),
            Self::KeyReused => PublicError::new(ErrorCode::IDEMPOTENCY_KEY_REUSED),
            Self::StateForbids(state) => {
                PublicError::new(ErrorCode::ORDER_STATE_FORBIDS).detail("state", state.as_str())
            }
            Self::Spent => {
                PublicError::new(ErrorCode::ORDER_STATE_FORBIDS).detail("wallet", "no longer holds that much")
            }
            Self::NoSuchChannel => PublicError::new(ErrorCode::NO_SUCH_PAYMENT_CHANNEL),
            Self::NoSuchProduct => PublicError::new(ErrorCode::NO_SUCH_PRODUCT),
            Self::Store(StoreError::Sql(error)) => error.public(),
            Self::Store(StoreError::Raced) => PublicError::new(ErrorCode::OVERLOADED),
            Self::Store(StoreError::Ledger(error)) => match &**error {
                PostError::Ledger(error) => of_ledger(error),
                PostError::Raced => PublicError::new(ErrorCode::OVERLOADED),
                PostError::Overdrawn { .. } | PostError::KeyReused => PublicError::internal(),
            },
            Self::Store(StoreError::Unreadable(_)) => PublicError::internal(),
            Self::Channel(error) => of_channel(error),
            Self::Account(error) => error.clone(),
        }
    }
}

fn of_channel(error: &ChannelError) -> PublicError {
    match error {
        ChannelError::Config(ChannelConfigError { problems }) => {
            let refused = PublicError::new(ErrorCode::INVALID_ARGUMENT);
            problems
                .iter()
                .fold(refused, |refused, ConfigProblem { path, reason }| refused.detail(path.clone(), reason.clone()))
        }
        ChannelError::TooMany => PublicError::invalid("channel", "the app has as many channels as it may"),
        ChannelError::NoMasterKey => PublicError::new(ErrorCode::FORBIDDEN)
            .detail("pay.master_key", "is not set: secrets of channels can't be kept"),
        ChannelError::Sealed { .. } => PublicError::internal(),
        ChannelError::Raced => PublicError::new(ErrorCode::OVERLOADED),
        ChannelError::Sql(error) => error.public(),
    }
}

fn of_ledger(error: &LedgerError) -> PublicError {
    match error {
        LedgerError::Sql(error) => error.public(),
        LedgerError::Unreadable(_) => PublicError::internal(),
    }
}

impl From<CreateError> for OrderError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::KeyReused => Self::KeyReused,
            CreateError::Raced => Self::Store(StoreError::Raced),
            CreateError::NoSuchProduct => FieldError::new("product_id", "the app sells no such product").into(),
            CreateError::NotSoldInCurrency => {
                FieldError::new("currency", "the product is not sold in this currency").into()
            }
            CreateError::PriceDiffers => FieldError::new("amount", "is not the product's price").into(),
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<RefundError> for OrderError {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::NoSuchOrder => Self::NoSuchOrder,
            RefundError::Impossible(impossible) => Self::StateForbids(impossible.state),
            RefundError::Spent => Self::Spent,
            RefundError::Store(error) => error.into(),
        }
    }
}

impl From<RedeliverError> for OrderError {
    fn from(error: RedeliverError) -> Self {
        match error {
            RedeliverError::NoSuchOrder => Self::NoSuchOrder,
            RedeliverError::NotDeliverable(state) => Self::StateForbids(state),
            RedeliverError::Store(error) => error.into(),
        }
    }
}
