//! The sample files behind the small file backend, made at the first start only: whoever changes or removes them keeps
//! that change.

use std::{fs, path::Path};

use super::folder::{DataFolder, FolderError};

/// The folder of the files in the data folder.
pub(crate) const FOLDER: &str = "files";
/// The sample that the printed lines sign and fetch.
pub(crate) const REPORT: &str = "/reports/q3.pdf";

const NOTES: &str = "Notes on the third quarter: whoever reads this came with a signed URL.\n";

/// Fills the folder, if there is none.
pub(crate) fn fill(data: &DataFolder) -> Result<(), FolderError> {
    let folder = data.join(FOLDER);
    if folder.is_dir() {
        return Ok(());
    }
    // Filled beside its place and then moved there, so that a start which is stopped leaves no half of it.
    let fresh = data.join("files.new");
    let write = || {
        fs::create_dir_all(fresh.join("reports"))?;
        fs::write(below(&fresh, REPORT), pdf("The report of the third quarter"))?;
        fs::write(fresh.join("reports/notes.txt"), NOTES)?;
        fs::rename(&fresh, &folder)
    };
    write().map_err(|source| FolderError::File { path: folder.clone(), source })
}

fn below(folder: &Path, path: &str) -> std::path::PathBuf {
    folder.join(path.trim_start_matches('/'))
}

/// A PDF of one page with one line of text (ISO 32000-1, section 7.5: header, body, cross-reference table, trailer).
fn pdf(line: &str) -> Vec<u8> {
    let content = format!("BT /F1 24 Tf 72 720 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut text = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (i, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", text.len()));
        text.push_str(&format!("{} 0 obj\n{object}\nendobj\n", i + 1));
    }
    let start = text.len();
    text.push_str(&table);
    text.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1));
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::pdf;

    #[test]
    fn the_cross_reference_table_points_at_the_objects() {
        let text = String::from_utf8(pdf("hello")).unwrap();
        let start: usize = text.lines().rev().nth(1).unwrap().parse().unwrap();
        assert!(text[start..].starts_with("xref\n0 6\n"));
        for (i, entry) in text[start..].lines().skip(3).take(5).enumerate() {
            let offset: usize = entry[..10].parse().unwrap();
            assert!(text[offset..].starts_with(&format!("{} 0 obj\n", i + 1)), "{entry}");
        }
    }
}
