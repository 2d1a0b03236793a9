//! The form of a log line. Spans are not used: the request id comes from the task, which costs nothing per request.

use std::fmt;

use authly_model::clock::{Clock, SystemClock};
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::LogFormat;
use crate::request_id::CURRENT;

pub(super) struct Lines(pub(super) LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let request_id = CURRENT.try_with(|id| id.as_str().to_owned()).ok();
        let (meta, now) = (event.metadata(), SystemClock.now());
        match self.0 {
            LogFormat::Json => {
                let mut line = fields.others; // the fixed names below win over fields of the same name
                line.insert("timestamp".to_owned(), format!("{now:.6}").into());
                line.insert("level".to_owned(), meta.level().as_str().into());
                line.insert("target".to_owned(), meta.target().into());
                line.insert("message".to_owned(), fields.message.into());
                if let Some(id) = request_id {
                    line.insert("request_id".to_owned(), id.into());
                }
                writeln!(writer, "{}", Value::Object(line))
            }
            LogFormat::Human => {
                write!(writer, "{now:.3} {:>5} {}", meta.level(), one_line(&fields.message))?;
                for (name, value) in &fields.others {
                    write!(writer, " {name}={value}")?; // JSON values: line breaks are escaped
                }
                request_id.map_or(Ok(()), |id| write!(writer, " request_id={id}"))?;
                writeln!(writer)
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" { self.message = text } else { self.put(field, text.into()) }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" { value.clone_into(&mut self.message) } else { self.put(field, value.into()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
