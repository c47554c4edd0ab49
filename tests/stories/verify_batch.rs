//! A game server that comes back from maintenance asks about everybody at once.

use crate::support::{Platform, Shape, Verdict, in_every_shape};

in_every_shape!(
    five_hundred_tokens_are_answered_in_their_order_and_one_bad_token_spoils_nothing,
    a_single_token_is_a_batch_too,
    more_than_five_hundred_or_none_are_refused,
);

const MOST: usize = 500;

async fn results<T: AsRef<str>>(platform: &Platform, tokens: &[T]) -> Vec<Verdict> {
    let mut data = platform.game_server().ask_batch(tokens).await.ok();
    serde_json::from_value(data["results"].take()).unwrap()
}

async fn five_hundred_tokens_are_answered_in_their_order_and_one_bad_token_spoils_nothing(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let bob = platform.register("bob").await;
    let gone = platform.register("gone").await;
    gone.logout().await.ok();
    platform.is_revoked(&gone.tokens.access_token).await;
    let asked: Vec<&str> = (0..MOST)
        .map(|at| match at {
            123 => "no token at all",
            _ if at % 7 == 0 => gone.tokens.access_token.as_str(),
            _ if at % 2 == 0 => ann.tokens.access_token.as_str(),
            _ => bob.tokens.access_token.as_str(),
        })
        .collect();

    let answered = results(&platform, &asked).await;
    assert_eq!(answered.len(), MOST);
    for (at, verdict) in answered.iter().enumerate() {
        let (status, account) = match at {
            123 => ("invalid", None),
            _ if at % 7 == 0 => ("revoked", Some(gone.tokens.account_id)),
            _ if at % 2 == 0 => ("valid", Some(ann.tokens.account_id)),
            _ => ("valid", Some(bob.tokens.account_id)),
        };
        assert_eq!((verdict.status.as_str(), verdict.account_id), (status, account), "at {at}");
    }
}

async fn a_single_token_is_a_batch_too(shape: Shape) {
    let platform = Platform::start(shape).await;
    let token = platform.register("ann").await.tokens.access_token;
    assert_eq!(results(&platform, &[&token]).await, [platform.verify(&token).await]);
}

async fn more_than_five_hundred_or_none_are_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    let token = platform.register("ann").await.tokens.access_token;
    let server = platform.game_server();
    server.ask_batch(&vec![&token; MOST + 1]).await.refused_field(4_000_001, "tokens");
    server.ask_batch::<&str>(&[]).await.refused_field(4_000_001, "tokens");
}
