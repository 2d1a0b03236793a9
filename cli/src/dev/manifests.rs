//! The manifests folder as it is now: every `.yaml`, `.yml` and `.json` file in it, as `kubectl apply -f FOLDER` would
//! read it. Decides nothing: what may take effect is [`super::state`]'s part.

use std::path::{Path, PathBuf};

use authly_desired::manifest::{self, Manifest, ManifestError};

/// What the folder says.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The documents that are objects, in the order of file names.
    pub(crate) manifests: Vec<Manifest>,
    /// Everything that is not.
    pub(crate) errors: Vec<ManifestError>,
}

/// Reads every file of the folder.
pub(crate) fn read(folder: &Path) -> Reading {
    let mut reading = Reading::default();
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) => {
            reading.errors.push(at_start(folder, format!("cannot be read: {error}; restore the folder")));
            return reading;
        }
    };
    for path in files {
        match std::fs::read_to_string(&path) {
            Ok(text) => reading.add(manifest::parse(&text, &path.display().to_string())),
            Err(error) => reading.errors.push(at_start(&path, format!("cannot be read: {error}"))),
        }
    }
    reading
}

impl Reading {
    fn add(&mut self, documents: Vec<Result<Manifest, ManifestError>>) {
        for document in documents {
            match document {
                Ok(manifest) => self.manifests.push(manifest),
                Err(error) => self.errors.push(error),
            }
        }
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // Editors keep their own files beside: hidden ones.
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let known = path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|e| extension == *e));
        if known && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn at_start(path: &Path, message: String) -> ManifestError {
    ManifestError { file: path.display().to_string(), line: 1, column: 1, message, object: None }
}
