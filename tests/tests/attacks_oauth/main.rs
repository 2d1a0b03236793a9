//! The attack list of oauth.md, as far as it touches what is built, against the real server: each case gets the right error and nothing
//! is a 500.

mod assertions;
mod clients;
mod documents;
mod keys;
mod tokens;
mod world;

use authly_tests::raw::Answer;
use futures::{StreamExt, stream};
use world::{Case, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_server() {
    let world = World::start().await;
    // Dev prints its clients' secrets when it is ready; from here on nobody may.
    let told = world.dev.process.output().len();
    let lists = [clients::cases(&world), assertions::cases(&world), tokens::cases(&world), documents::cases(&world)];
    let cases: Vec<Case> = lists.into_iter().flatten().collect();
    let answers: Vec<Answer> = stream::iter(&cases).map(|case| world.send(case)).buffered(8).collect().await;
    let mut wrong = Vec::new();
    judge(&cases, &answers, &mut wrong);
    // One after the other: the order is the attack.
    let replays = assertions::replays(&world);
    let mut answers = Vec::new();
    for case in &replays {
        answers.push(world.send(case).await);
    }
    judge(&replays, &answers, &mut wrong);

    let log = world.dev.process.output().split_off(told);
    assert!(!log.contains("panicked") && !log.contains("authly_cs_"), "the log holds no panic and no secret:\n{log}");
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} cases", cases.len() + replays.len());
}

fn judge(cases: &[Case], answers: &[Answer], wrong: &mut Vec<String>) {
    for (case, answer) in cases.iter().zip(answers) {
        println!("{:<80} {}", case.name, answer.status);
        wrong.extend(case.judge(answer).err().map(|error| format!("{}: {error}", case.name)));
    }
}
