//! Every payment channel by its own door: an order is made for it, it says in its own form and with its own signature that
//! somebody has paid, reads its own words, and the game server hears of it. What was tampered with on the way, or is meant
//! for somebody else, changes nothing.

use crate::support::{
    App, Notice, PAY_CHANNELS, PayChannel, Platform, Player, Said, Shape, Shop, Studio, Words, in_both_shapes,
};

in_both_shapes!(
    each_channel_pays_for_an_order_and_reads_its_own_words,
    what_was_tampered_with_or_is_for_somebody_else_is_refused_in_the_channel_s_words,
    while_pay_knows_nothing_of_a_channel_its_callbacks_are_refused,
);

/// A shop that all channels pay in.
struct Market {
    platform: Platform,
    studio: Studio,
    shop: Shop,
    player: Player,
}

impl Market {
    async fn open(shape: Shape) -> Self {
        let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
        let (shop, player) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
        Self { platform, studio, shop, player }
    }

    /// An operator gives the app the channel.
    async fn with(&self, app: &App, channel: &PayChannel) {
        let path = format!("/admin/v1/apps/{}/channels/{}", app.app_id, channel.name);
        self.shop.admin().put(&path, &channel.config()).await.ok();
    }

    /// An order that is to be paid through the channel.
    async fn order(&self, channel: &PayChannel, key: &str) -> String {
        let mut wish = Shop::wish();
        wish["channel"] = channel.name.into();
        let order = self.shop.try_create(&self.player, &format!("{}-{key}", channel.name), &wish).await.ok();
        assert_eq!(order["state"], "paying");
        assert_eq!(order["pay_params"]["callback_path"], path(channel, self.platform.app().app_id));
        order["order_id"].as_str().unwrap().to_owned()
    }

    /// What the channel is answered: status, content type, body.
    async fn hears(&self, notice: &Notice, channel: &PayChannel) -> (u16, String, String) {
        self.hears_at(notice, &path(channel, self.platform.app().app_id)).await
    }

    async fn hears_at(&self, notice: &Notice, path: &str) -> (u16, String, String) {
        let client = self.platform.client();
        let answer = client.exchange(notice.request(client, path)).await.expect("an answer");
        (answer.status, answer.header("content-type").to_owned(), answer.text)
    }

    #[track_caller]
    fn is_refused(channel: &PayChannel, heard: &(u16, String, String), what: &str) {
        let (_, (status, content_type, body)) = channel.words();
        assert!(
            heard.0 == status && heard.1 == content_type && heard.2.starts_with(body),
            "{}, {what}: {heard:?}",
            channel.name
        );
    }

    async fn state(&self, order_id: &str) -> String {
        self.shop.describe(order_id).await["state"].as_str().unwrap().to_owned()
    }
}

fn path(channel: &PayChannel, app_id: i64) -> String {
    format!("/v1/pay/callbacks/{}/{app_id}", channel.name)
}

fn whole(words: Words) -> (u16, String, String) {
    (words.0, words.1.to_owned(), words.2.to_owned())
}

async fn each_channel_pays_for_an_order_and_reads_its_own_words(shape: Shape) {
    let market = Market::open(shape).await;
    for channel in PayChannel::all() {
        market.with(market.platform.app(), &channel).await;
        let order_id = market.order(&channel, "1").await;
        let (accepted, _) = channel.words();
        let notice = channel.notice(&Said::of(&order_id));
        assert_eq!(market.hears(&notice, &channel).await, whole(accepted), "{}", channel.name);
        let told = market.studio.is_told_of(&order_id).await;
        assert_eq!((&told["amount"], &told["currency"]), (&600.into(), &"CNY".into()), "{}", channel.name);
        market.shop.is(&order_id, "delivered").await;
        // As often as it comes: the very same, and the same payment signed anew.
        for again in [&notice, &notice, &channel.notice(&Said::of(&order_id))] {
            assert_eq!(market.hears(again, &channel).await, whole(accepted), "{} again", channel.name);
        }
        let order = market.shop.describe(&order_id).await;
        assert_eq!(
            (&order["channel"], &order["channel_order_id"]),
            (&channel.name.into(), &format!("T{order_id}").into())
        );
        let events = ["created", "payment_started", "paid", "delivery_started", "acknowledged"];
        assert_eq!(market.shop.events(&order_id).await, events, "{}", channel.name);
        assert_eq!(market.studio.deliveries_of(&order_id).len(), 1, "{}", channel.name);
    }
    let wallet = market.player.login().await.welcome["wallet"].clone();
    assert_eq!(wallet, serde_json::json!({ "CNY": 600 * PAY_CHANNELS.len() }));
}

async fn what_was_tampered_with_or_is_for_somebody_else_is_refused_in_the_channel_s_words(shape: Shape) {
    let market = Market::open(shape).await;
    let other = market.platform.create_app("other").await;
    for channel in PayChannel::all() {
        market.with(market.platform.app(), &channel).await;
        market.with(&other, &channel).await;
        let (first, second) = (market.order(&channel, "1").await, market.order(&channel, "2").await);
        let (good, trade) = (channel.notice(&Said::of(&first)), format!("T{first}"));

        // On the way: the signature is of something else. WeChat Pay's facts are sealed, and what is sealed is signed.
        let mut tampered = vec![("the signature in another case", good.with_signature_in_other_case())];
        if channel.name == "wechat_pay" {
            tampered.push(("another kind of event", good.altered("TRANSACTION.SUCCESS", "TRANSACTION.SUCCES")));
            tampered.push(("a field twice", good.with_one_twice("event_type", r#""TRANSACTION.SUCCESS""#)));
            tampered.push(("another serial number", good.altered("PUB_KEY_ID", "PUB_KEY_IE")));
        } else {
            let amounts = [("600", "1"), ("6.00", "0.01")];
            let (from, to) = amounts[usize::from(["alipay", "huawei", "uc"].contains(&channel.name))];
            let swapped = good.altered(&trade, "#").altered(&first, &trade).altered("#", &first);
            tampered.push(("another amount", good.altered(from, to)));
            tampered.push(("another order", good.altered(&first, &second)));
            tampered.push(("the two numbers swapped", swapped));
            tampered.push(("the order in another case", good.altered(&first, &first.to_lowercase())));
            tampered.push(("a parameter twice", good.with_one_twice("sign", "1").with_one_twice("sign", "1")));
        }
        for (what, notice) in &tampered {
            Market::is_refused(&channel, &market.hears(notice, &channel).await, what);
        }
        assert_eq!(market.shop.events(&first).await, ["created", "payment_started"], "{}: no trace", channel.name);

        // Signed by the channel, and yet for nobody here.
        let mut foreign = vec![
            ("an order of nobody's", Said { order_id: "01JXSFM2G00000000000000000".to_owned(), ..Said::of(&first) }),
            ("the order in another case", Said { order_id: first.to_lowercase(), ..Said::of(&first) }),
            ("the numbers swapped", Said { order_id: trade.clone(), trade: first.clone(), ..Said::of(&first) }),
        ];
        if channel.names_the_merchant() {
            foreign.push(("another merchant", Said { merchant: "2088000000000002".to_owned(), ..Said::of(&first) }));
        }
        for (what, said) in &foreign {
            Market::is_refused(&channel, &market.hears(&channel.notice(said), &channel).await, what);
        }
        let elsewhere = market.hears_at(&good, &path(&channel, other.app_id)).await;
        Market::is_refused(&channel, &elsewhere, "by the door of another app");
        assert_eq!(market.shop.events(&first).await, ["created", "payment_started"], "{}: no trace", channel.name);

        // For this order, and it does not fit.
        for fen in [1, 599, 601] {
            let notice = channel.notice(&Said { fen, ..Said::of(&first) });
            Market::is_refused(&channel, &market.hears(&notice, &channel).await, "another amount");
        }
        assert_eq!(market.state(&first).await, "paying", "{}", channel.name);
        let (accepted, _) = channel.words();
        assert_eq!(market.hears(&good, &channel).await, whole(accepted), "{}: what fits is believed", channel.name);

        // What has paid for one order pays for no other, and what is paid is not paid again.
        let same_payment = channel.notice(&Said { trade: trade.clone(), ..Said::of(&second) });
        Market::is_refused(&channel, &market.hears(&same_payment, &channel).await, "a payment twice");
        let second_payment = channel.notice(&Said { trade: format!("{trade}-2"), ..Said::of(&first) });
        Market::is_refused(&channel, &market.hears(&second_payment, &channel).await, "an order twice");
        assert_eq!(market.state(&second).await, "paying", "{}", channel.name);
        let refused = market.shop.events(&first).await.iter().filter(|event| *event == "refused_payment").count();
        assert_eq!(refused, 4, "{}", channel.name);
    }
    let wallet = market.player.login().await.welcome["wallet"].clone();
    assert_eq!(wallet, serde_json::json!({ "CNY": 600 * PAY_CHANNELS.len() }));
}

async fn while_pay_knows_nothing_of_a_channel_its_callbacks_are_refused(shape: Shape) {
    let market = Market::open(shape).await;
    for channel in PayChannel::all() {
        let notice = channel.notice(&Said::of("01JXSFM2G00000000000000000"));
        let client = market.platform.client();
        let path = path(&channel, market.platform.app().app_id);
        let answer = client.exchange(notice.request(client, &path)).await.expect("an answer");
        answer.refused(4_040_302);
        assert!(!answer.text.to_uppercase().contains("SUCCESS"), "{answer:?}");
    }
}
