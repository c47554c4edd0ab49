//! What it costs to answer a caller: 200 settings and 50 rules. `cargo bench -p setting`.

use divan::{Bencher, black_box};
use serde_json::{Map, Value, json};
use setting::bench::{Question, publish};

fn main() {
    divan::main();
}

/// Every fifth rule is of one kind: a version, a percentage, a list of accounts, a segment, a channel of others.
fn document() -> String {
    let settings: Map<String, Value> = (0..200)
        .map(|index| {
            (format!("game.setting_{index:03}"), json!({"type": "number", "value": index, "description": "…"}))
        })
        .collect();
    let rules: Vec<Value> = (0..50)
        .map(|index| {
            let when = match index % 5 {
                0 => json!({"version": ">=1.2, <2"}),
                1 => json!({"percent": 37.5, "salt": format!("rollout_{index}")}),
                2 => json!({"accounts": (1..=200).map(|account| account * 7).collect::<Vec<i64>>()}),
                3 => json!({"segments": [format!("segment_{}", index % 10)]}),
                _ => json!({"channel": ["store", "web"]}),
            };
            json!({"setting": format!("game.setting_{:03}", index * 3), "value": -index, "when": when})
        })
        .collect();
    let segments: Map<String, Value> = (0..10)
        .map(|index| (format!("segment_{index}"), json!({"version": ">=1.10", "percent": 10 * index})))
        .collect();
    json!({
        "settings": settings,
        "channels": {"official": {"game.setting_001": 1000}},
        "packages": {"com.example.game": {"game.setting_002": 2000}},
        "segments": segments,
        "rules": rules,
    })
    .to_string()
}

#[divan::bench]
fn caller_who_has_the_current_settings(bencher: Bencher<'_, '_>) {
    let question = Question::of(&document(), 100_001);
    bencher.bench_local(|| black_box(&question).entity_tag());
}

#[divan::bench]
fn caller_who_is_sent_the_settings(bencher: Bencher<'_, '_>) {
    let question = Question::of(&document(), 100_001);
    bencher.bench_local(|| black_box(&question).answer());
}

#[divan::bench]
fn publishing(bencher: Bencher<'_, '_>) {
    let document = document();
    bencher.bench_local(|| publish(black_box(&document)));
}
