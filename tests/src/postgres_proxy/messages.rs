//! Messages of PostgreSQL's protocol, and which of them write.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A message: a type, a length, a body.
pub(super) struct Message {
    pub(super) kind: u8,
    body: Vec<u8>,
}

/// Reads one message.
pub(super) async fn read_message(from: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Message> {
    let kind = from.read_u8().await?;
    let length = usize::try_from(from.read_i32().await?)?;
    let mut body = vec![0; length.saturating_sub(4)];
    from.read_exact(&mut body).await?;
    Ok(Message { kind, body })
}

impl Message {
    /// As it was read.
    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.kind);
        let length = i32::try_from(self.body.len() + 4).unwrap_or(i32::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.body);
    }

    /// The strings at the start of the body, each ended by a zero.
    fn strings(&self) -> impl Iterator<Item = String> {
        self.body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

/// The prepared statements of a connection, and the write of the group that is being read.
#[derive(Default)]
pub(super) struct Statements {
    by_name: HashMap<String, String>,
    bound: String,
    write: Option<String>,
}

impl Statements {
    /// Notes a message of the client. True if it ends a group: a Query or a Sync.
    pub(super) fn note(&mut self, message: &Message) -> bool {
        let mut strings = message.strings();
        match message.kind {
            b'P' => {
                let (name, sql) = (strings.next().unwrap_or_default(), strings.next().unwrap_or_default());
                self.by_name.insert(name, sql);
            }
            b'B' => {
                let name = strings.nth(1).unwrap_or_default();
                self.bound = self.by_name.get(&name).cloned().unwrap_or_default();
            }
            b'E' => self.write = self.write.take().or_else(|| write_of(&self.bound)),
            b'Q' => self.write = write_of(&strings.next().unwrap_or_default()),
            _ => {}
        }
        matches!(message.kind, b'Q' | b'S')
    }

    /// What the group writes, if anything.
    pub(super) fn take_write(&mut self) -> Option<String> {
        self.write.take()
    }
}

/// The beginning of a statement that writes.
fn write_of(sql: &str) -> Option<String> {
    let lines = sql.lines().map(str::trim).filter(|line| !line.starts_with("--"));
    let text = lines.collect::<Vec<_>>().join(" ").to_uppercase();
    let verbs = ["INSERT INTO ", "UPDATE ", "DELETE FROM ", "PUBLISH("];
    let changes = verbs.iter().any(|verb| text.replace("FOR UPDATE", "").contains(verb));
    let commits = text.starts_with("COMMIT");
    (changes || commits).then(|| text.trim().chars().take(60).collect())
}

#[cfg(test)]
mod tests {
    use super::write_of;

    #[test]
    fn what_writes() {
        for sql in [
            "COMMIT",
            "-- roles: operator\n  INSERT INTO x VALUES ($1)",
            "SELECT * FROM publish($1)",
            "WITH a AS (UPDATE x SET y = 1) SELECT 1",
        ] {
            assert!(write_of(sql).is_some(), "{sql}");
        }
        for sql in ["BEGIN", "SELECT 1 FROM x FOR UPDATE", "-- INSERT INTO\nSELECT 1", "ROLLBACK"] {
            assert!(write_of(sql).is_none(), "{sql}");
        }
    }
}
