//! The attack list of signed-url.md against the real gateway, as a proxy and as forward-auth: each case is refused with its reason or
//! harmless, nothing is a 500, and what is refused never reaches the backend.

use authly_tests::{
    attacks::{self, world::World},
    raw::Answer,
};
use futures::{StreamExt, stream};

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway() {
    let world = World::start().await.unwrap();
    let list = attacks::all(&world);
    let before = world.echo.seen();
    let port = world.gateway.port;
    let tried: Vec<(Answer, Answer)> = stream::iter(&list)
        .map(|attack| async move { (attack.send(port).await.unwrap(), attack.ask(port).await.unwrap()) })
        .buffered(8)
        .collect()
        .await;
    let (mut wrong, mut reached) = (Vec::new(), 0);
    for (attack, (proxied, asked)) in list.iter().zip(&tried) {
        println!("{:<60} {} {:<24} {} {}", attack.name, proxied.status, proxied.reason(), asked.status, asked.reason());
        for (way, verdict) in [("proxy", attack.judge_proxied(proxied)), ("forward-auth", attack.judge_asked(asked))] {
            wrong.extend(verdict.err().map(|error| format!("{}, {way}: {error}", attack.name)));
        }
        reached += usize::from(proxied.status == 200);
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), list.len(), wrong.join("\n"));
    assert_eq!(world.echo.seen() - before, reached, "what was refused does not reach the backend");
    let log = world.gateway.process.output();
    assert!(!log.contains("sx-s=") && !log.contains("panicked"), "the log holds no link and no panic:\n{log}");
    let good = list.iter().filter(|attack| attack.passes()).count();
    println!("{} cases, {good} of them harmless, in both modes", list.len());
}
