//! Chains with every kind of fault, each found and named, and nothing else.

use super::{ChainCheck, Fault, Record, SealedLink};
use crate::{
    audit::{Link, LinkHash, link_hash},
    ids::TenantId,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const WRITER: Uuid = Uuid::from_u128(2);

#[derive(Clone)]
struct Stored {
    seq: i64,
    at: i64,
    payload: Option<Vec<u8>>,
    hash: [u8; 32],
    link: LinkHash,
}

fn relink(rows: &mut [Stored]) {
    let mut previous = [0; 32];
    for row in rows {
        row.link = link_hash(&Link {
            previous: &previous,
            tenant: TENANT,
            writer: WRITER,
            number: row.seq,
            at_micros: row.at,
            kind: "token_issued",
            payload_hash: &row.hash,
        });
        previous = row.link;
    }
}

fn chain(length: i64) -> Vec<Stored> {
    let row = |seq: i64| {
        let payload = format!("payload {seq}").into_bytes();
        let hash = Sha256::digest(&payload).into();
        Stored { seq, at: 1000 + seq, payload: Some(payload), hash, link: [0; 32] }
    };
    let mut rows: Vec<Stored> = (1..=length).map(row).collect();
    relink(&mut rows);
    rows
}

fn seals(rows: &[Stored], at: &[i64]) -> Vec<SealedLink> {
    let of = |(n, seq): (usize, &i64)| {
        let row = rows.iter().find(|row| row.seq == *seq).unwrap();
        SealedLink { seq: *seq, link: row.link, seal: i64::try_from(n).unwrap() + 1 }
    };
    at.iter().enumerate().map(of).collect()
}

fn check(rows: &[Stored], sealed: &[SealedLink]) -> Vec<Fault> {
    let mut check = ChainCheck::new(TENANT, WRITER);
    for row in rows {
        let record = Record {
            seq: row.seq,
            at_micros: row.at,
            kind: "token_issued",
            payload: row.payload.as_deref(),
            payload_hash: &row.hash,
            link: &row.link,
        };
        check.push(&record, sealed.iter().find(|s| s.seq == row.seq));
    }
    check.finish(sealed.last())
}

/// Swaps what two records say, as an update of everything but their numbers would.
fn swap(rows: &mut [Stored], a: usize, b: usize) {
    rows.swap(a, b);
    let seq = rows[a].seq;
    rows[a].seq = rows[b].seq;
    rows[b].seq = seq;
}

#[test]
fn a_whole_chain_has_no_fault() {
    let mut rows = chain(20);
    let sealed = seals(&rows, &[3, 20]);
    assert_eq!(check(&rows, &sealed), []);
    rows.iter_mut().step_by(3).for_each(|row| row.payload = None);
    assert_eq!(check(&rows, &sealed), [], "erased payloads");
    assert_eq!(check(&[], &[]), []);
}

#[test]
fn an_edited_record_is_named_alone() {
    let edits: [fn(&mut Stored); 5] = [
        |row| row.at += 1,
        |row| row.hash[0] ^= 1,
        |row| row.link[31] ^= 1,
        |row| row.payload = Some(b"forged".to_vec()),
        |row| (row.payload, row.hash) = (Some(b"forged".to_vec()), Sha256::digest(b"forged").into()),
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        for at in [0, 9, 19] {
            let mut rows = chain(20);
            edit(&mut rows[at]);
            let seq = i64::try_from(at).unwrap() + 1;
            assert_eq!(check(&rows, &[]), [Fault::Edited { seq }], "edit {n} of {seq}");
        }
    }
}

#[test]
fn two_edits_side_by_side_are_two() {
    let mut rows = chain(9);
    rows[4].at += 1;
    rows[5].link[0] ^= 1;
    assert_eq!(check(&rows, &[]), [Fault::Edited { seq: 5 }, Fault::Edited { seq: 6 }]);
}

#[test]
fn removed_records_are_named() {
    let mut rows = chain(20);
    rows.drain(4..7);
    rows.remove(0);
    let faults = [Fault::Removed { first: 1, last: 1 }, Fault::Removed { first: 5, last: 7 }];
    assert_eq!(check(&rows, &seals(&chain(20), &[6, 20])), faults);
    assert_eq!(faults[1].to_string(), "records 5 to 7 were removed");
    assert_eq!(faults[0].to_string(), "record 1 was removed");
}

#[test]
fn reordered_records_are_named_with_their_places() {
    for (a, b) in [(4, 5), (4, 12), (0, 19)] {
        let mut rows = chain(20);
        swap(&mut rows, a, b);
        let (x, y) = (i64::try_from(a).unwrap() + 1, i64::try_from(b).unwrap() + 1);
        let faults = [Fault::Reordered { seq: y, was: x }, Fault::Reordered { seq: x, was: y }];
        assert_eq!(check(&rows, &seals(&chain(20), &[5, 20])), faults);
    }
}

#[test]
fn a_cut_tail_shows_only_up_to_a_seal() {
    let rows = chain(20);
    let sealed = seals(&rows, &[5, 17]);
    assert_eq!(check(&rows[..17], &sealed), []);
    assert_eq!(check(&rows[..10], &sealed), [Fault::Cut { first: 11, last: 17, seal: 2 }]);
    assert_eq!(check(&[], &sealed), [Fault::Cut { first: 1, last: 17, seal: 2 }]);
    assert_eq!(check(&rows[..10], &[]), []);
}

#[test]
fn a_chain_that_is_made_anew_is_not_what_was_sealed() {
    let mut rows = chain(20);
    let sealed = seals(&rows, &[5, 12, 17]);
    rows[8].hash[0] ^= 1;
    rows[8].payload = None;
    relink(&mut rows);
    assert_eq!(check(&rows, &sealed), [Fault::Rewritten { first: 6, last: 12, seal: 2 }]);
    assert_eq!(check(&rows, &[]), [], "without seals it is whole");
}

#[test]
fn an_inserted_record_is_named() {
    let mut rows = chain(8);
    let mut second = rows[3].clone();
    second.at += 500;
    second.link[0] ^= 1;
    rows.insert(4, second);
    assert_eq!(check(&rows, &[]), [Fault::Inserted { seq: 4 }]);
}

#[test]
fn many_faults_stay_bounded() {
    let mut rows = chain(1100);
    rows.iter_mut().for_each(|row| row.at += 1);
    let faults = check(&rows, &[]);
    assert_eq!((faults.len(), faults[1000]), (1001, Fault::More { count: 100 }));
}
