//! The Secrets of clients as files, `DATA_DIR/secrets/NAMESPACE/NAME.json` with mode 0600. The version of a file is a hash
//! of its bytes, so that an edit by hand makes a late write conflict, as it does in a cluster.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use authly_model::ids::ObjectName;
use authly_operator::engine::{ClusterError, SecretData, SecretObject, SecretWrite};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::folder::{DataFolder, FolderError};

/// The folder in the data folder.
pub(crate) const FOLDER: &str = "secrets";

/// The files. One write at a time.
#[derive(Debug)]
pub(crate) struct SecretFiles {
    data: DataFolder,
    writing: Mutex<()>,
}

/// One file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stored {
    owner: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    data: BTreeMap<String, Zeroizing<String>>,
}

impl SecretFiles {
    pub(crate) fn new(data: DataFolder) -> Result<Self, FolderError> {
        data.private_folder(FOLDER)?;
        Ok(Self { data, writing: Mutex::new(()) })
    }

    /// One value of a Secret.
    pub(crate) fn value(&self, at: &ObjectName, key: &str) -> Option<Zeroizing<String>> {
        let (_, mut stored) = self.load(at).ok()??;
        stored.data.remove(key)
    }

    pub(crate) fn read(&self, at: &ObjectName) -> Result<Option<SecretObject>, ClusterError> {
        let Some((version, stored)) = self.load(at)? else { return Ok(None) };
        Ok(Some(SecretObject {
            version,
            owner: stored.owner,
            labels: stored.labels,
            annotations: stored.annotations,
            data: stored.data.into_iter().map(|(key, value)| (key, SecretData::new(value.as_bytes()))).collect(),
        }))
    }

    pub(crate) fn write(&self, write: &SecretWrite) -> Result<(), ClusterError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stored = match (self.load(&write.at)?, &write.version) {
            (None, None) => Stored::default(),
            (Some((found, stored)), Some(read)) if found == *read => stored,
            (None, Some(_)) => return Err(ClusterError::NotFound),
            _ => return Err(ClusterError::Conflict),
        };
        stored.owner = Some(write.owner.clone());
        stored.labels.extend(write.labels.clone());
        stored.annotations.extend(write.annotations.clone());
        for (key, value) in &write.set {
            let text = value.text().ok_or_else(|| ClusterError::Refused(format!("the value of {key} is no text")))?;
            stored.data.insert(key.clone(), text.to_owned().into());
        }
        stored.data.retain(|key, _| !write.remove.contains(key));
        let text = serde_json::to_string_pretty(&stored).map(Zeroizing::new);
        let text = text.map_err(|error| ClusterError::Refused(error.to_string()))?;
        self.data.private_folder(format!("{FOLDER}/{}", write.at.namespace)).map_err(unavailable)?;
        self.data.write_private(file(&write.at)?, &text).map_err(unavailable)
    }

    /// Deletes the Secrets of this owner in a namespace, except the one named `keep`.
    pub(crate) fn delete(&self, namespace: &str, owner: &str, keep: Option<&str>) -> Result<(), ClusterError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(entries) = std::fs::read_dir(self.data.join(FOLDER).join(namespace)) else { return Ok(()) };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
            let at = ObjectName::new(namespace, name);
            let is_owners = self.load(&at)?.is_some_and(|(_, stored)| stored.owner.as_deref() == Some(owner));
            if is_owners && keep != Some(name) {
                self.data.remove(file(&at)?).map_err(unavailable)?;
            }
        }
        Ok(())
    }

    fn load(&self, at: &ObjectName) -> Result<Option<(String, Stored)>, ClusterError> {
        let file = file(at)?;
        let Some(text) = self.data.read(&file).map_err(unavailable)?.map(Zeroizing::new) else { return Ok(None) };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        // What is wrong is not shown: the text is secret.
        let damaged = |_| {
            ClusterError::Refused(format!("{} is no Secret any more: delete the file", self.data.join(&file).display()))
        };
        let stored = serde_json::from_str(&text).map_err(damaged)?;
        Ok(Some((format!("{:016x}", hasher.finish()), stored)))
    }
}

/// The file of a Secret. Names come from manifests, which bound them; still none leaves the folder.
fn file(at: &ObjectName) -> Result<String, ClusterError> {
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\0']);
    if plain(&at.namespace) && plain(&at.name) {
        Ok(format!("{FOLDER}/{}/{}.json", at.namespace, at.name))
    } else {
        Err(ClusterError::Refused(format!("{at} is no name of a Secret")))
    }
}

fn unavailable(error: FolderError) -> ClusterError {
    ClusterError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::SecretFiles;
    use crate::dev::folder::DataFolder;
    use authly_model::ids::ObjectName;
    use authly_operator::engine::{ClusterError, SecretData, SecretWrite};

    fn write(version: Option<&str>, set: &[(&str, &str)], remove: &[&str]) -> SecretWrite {
        SecretWrite {
            at: ObjectName::new("shop", "billing-oauth"),
            version: version.map(str::to_owned),
            owner: "default/OAuthClient/shop/billing".to_owned(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            annotations: [].into(),
            set: set.iter().map(|(key, value)| ((*key).to_owned(), SecretData::new(*value))).collect(),
            remove: remove.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    #[test]
    fn writes_conflict_as_they_do_in_a_cluster() {
        let path = std::env::temp_dir().join(format!("authly-secrets-{}", uuid::Uuid::new_v4().simple()));
        let data = DataFolder::choose(Some(path.clone())).unwrap();
        data.create().unwrap();
        let files = SecretFiles::new(data).unwrap();
        let at = ObjectName::new("shop", "billing-oauth");
        assert_eq!(files.read(&at), Ok(None));
        assert_eq!(files.write(&write(Some("1"), &[], &[])), Err(ClusterError::NotFound));
        files.write(&write(None, &[("client_secret_next", "x")], &[])).unwrap();
        assert_eq!(files.write(&write(None, &[], &[])), Err(ClusterError::Conflict));

        let first = files.read(&at).unwrap().unwrap();
        files.write(&write(Some(&first.version), &[("client_secret", "x")], &["client_secret_next"])).unwrap();
        assert_eq!(files.write(&write(Some(&first.version), &[], &[])), Err(ClusterError::Conflict));
        let second = files.read(&at).unwrap().unwrap();
        assert_eq!(second.data.keys().collect::<Vec<_>>(), ["client_secret"]);
        assert_eq!(files.value(&at, "client_secret").unwrap().as_str(), "x");

        files.delete("shop", "another", None).unwrap();
        files.delete("shop", &write(None, &[], &[]).owner, Some("billing-oauth")).unwrap();
        assert!(files.read(&at).unwrap().is_some());
        files.delete("shop", &write(None, &[], &[]).owner, None).unwrap();
        assert_eq!(files.read(&at), Ok(None));
        assert!(files.read(&ObjectName::new("..", "kek")).is_err());
        std::fs::remove_dir_all(path).unwrap();
    }
}
