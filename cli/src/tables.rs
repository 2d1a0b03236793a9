//! The tables that `kubectl get` prints: one per kind, its columns taken from the CustomResourceDefinition
//! (`additionalPrinterColumns`) and evaluated on the object with its status. Pure.

mod age;
mod jsonpath;
mod kinds;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition,
};
use serde_json::Value;

pub(crate) use kinds::selected;

/// What kubectl's tab writer puts between columns, and the narrowest column.
const PADDING: usize = 3;
const MIN_WIDTH: usize = 6;

/// One object with its status, as an API server would show it.
pub(crate) struct Row {
    pub(crate) kind: String,
    pub(crate) object: Value,
}

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Adds the columns with a priority.
    pub(crate) wide: bool,
    /// Names carry their kind, as kubectl does where several kinds are asked.
    pub(crate) with_kind: bool,
    /// For AGE.
    pub(crate) now: Timestamp,
}

/// The tables of these kinds, one after the other, an empty line between; kinds without an object are left out.
pub(crate) fn print(kinds: &[CustomResourceDefinition], rows: &[Row], style: Style) -> String {
    let tables = kinds.iter().filter_map(|crd| {
        let of_kind: Vec<&Row> = rows.iter().filter(|row| row.kind == crd.spec.names.kind).collect();
        (!of_kind.is_empty()).then(|| aligned(&table(crd, &of_kind, style)))
    });
    let tables: Vec<String> = tables.collect();
    if tables.is_empty() { "No resources found\n".to_owned() } else { tables.join("\n") }
}

/// Header and rows of one kind.
fn table(crd: &CustomResourceDefinition, rows: &[&Row], style: Style) -> Vec<Vec<String>> {
    let namespaced = crd.spec.scope == "Namespaced";
    let columns: Vec<&CustomResourceColumnDefinition> = crd
        .spec
        .versions
        .iter()
        .flat_map(|version| version.additional_printer_columns.iter().flatten())
        .filter(|column| style.wide || column.priority.unwrap_or_default() == 0)
        .collect();
    let mut header: Vec<String> = if namespaced { vec!["NAMESPACE".to_owned()] } else { Vec::new() };
    header.push("NAME".to_owned());
    header.extend(columns.iter().map(|column| column.name.to_uppercase()));
    let body = rows.iter().map(|row| {
        let text = |key: &str| row.object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let mut cells: Vec<String> = if namespaced { vec![text("namespace")] } else { Vec::new() };
        let name = text("name");
        cells.push(if style.with_kind {
            format!("{}.{}/{name}", crd.spec.names.singular.as_deref().unwrap_or_default(), crd.spec.group)
        } else {
            name
        });
        cells.extend(columns.iter().map(|column| cell(column, &row.object, style.now)));
        cells
    });
    std::iter::once(header).chain(body).collect()
}

/// A missing value is an empty cell, except that an unknown age says so.
fn cell(column: &CustomResourceColumnDefinition, object: &Value, now: Timestamp) -> String {
    let value = jsonpath::first(&column.json_path, object);
    if column.type_ == "date" {
        let created = value.and_then(Value::as_str).and_then(|text| text.parse().ok());
        return created.map_or_else(|| "<unknown>".to_owned(), |created| age::since(created, now));
    }
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    // A table is lines: what would break one is shown escaped, as kubectl does.
    text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or_default();
    let width = |i: usize| {
        let longest = table.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max();
        (longest.unwrap_or_default() + PADDING).max(MIN_WIDTH)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in table {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let width = if i + 1 == row.len() { 0 } else { widths[i] };
            line.push_str(&format!("{cell:<width$}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Row, Style, print, selected};
    use serde_json::json;

    fn rows() -> Vec<Row> {
        let client = json!({
            "metadata": {"name": "billing", "namespace": "shop", "creationTimestamp": "2026-11-23T12:00:00Z"},
            "spec": {"tenantRef": {"name": "acme"}, "type": "Service"},
            "status": {"clientId": "shop.billing", "secretName": "billing-oauth", "revision": "3/7", "conditions": [
                {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "ok"},
                {"type": "Ready", "status": "True", "reason": "Programmed", "message": "every replica serves it"}]},
        });
        let tenant = json!({"metadata": {"name": "acme"}, "spec": {}, "status": {"observedGeneration": -1}});
        vec![Row { kind: "OAuthClient".to_owned(), object: client }, Row { kind: "Tenant".to_owned(), object: tenant }]
    }

    fn printed(kind: &str, wide: bool) -> String {
        let (kinds, with_kind) = selected(kind).unwrap();
        print(&kinds, &rows(), Style { wide, with_kind, now: "2026-11-23T12:02:00Z".parse().unwrap() })
    }

    #[test]
    fn prints_what_kubectl_prints() {
        assert_eq!(
            printed("all", false),
            "NAME                     READY   REASON   ISSUER   AGE\n\
             tenant.authly.dev/acme                             <unknown>\n\
             \n\
             NAMESPACE   NAME                             READY   REASON       TENANT   CLIENT-ID      TYPE      SECRET          AGE\n\
             shop        oauthclient.authly.dev/billing   True    Programmed   acme     shop.billing   Service   billing-oauth   2m\n"
        );
        let clients = printed("clients", true);
        assert!(clients.contains("MESSAGE                   REVISION   AGE"), "{clients}");
        assert!(clients.contains("shop        billing   True"), "{clients}");
        assert!(clients.contains("every replica serves it   3/7        2m"), "{clients}");
        assert_eq!(printed("routes", false), "No resources found\n");
    }
}
