//! Records runs where the configuration says, and where `--trace` asks for it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use openai_agents::config::Config;
use openai_agents::trace::{
    ContentRecording, ExportQueue, OpenAiIngest, OtlpExporter, TraceStore, Tracer,
};

use crate::failure::Usage;
use crate::{output, private_folder};

/// The longest wait at the end for spans that are still to be written or sent.
const FLUSH: Duration = Duration::from_secs(2);

/// Whether a run is recorded in the local store although the configuration does not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LocalStore {
    Always,
    IfConfigured,
}

/// The tracer of the program, and its local store.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) tracer: Tracer,
    pub(crate) store: Option<TraceStore>,
}

impl Recorder {
    /// Opens the tracer that the configuration asks for; `None` if it asks for none.
    pub(crate) async fn open(config: &Config, local: LocalStore) -> Result<Option<Self>> {
        let trace = config.trace();
        let mut builder = Tracer::builder().redactor(config.redactor().clone());
        if !trace.records_content {
            builder = builder.content(ContentRecording::Withheld);
        }
        let wanted = local == LocalStore::Always || trace.store.is_some();
        let store = if wanted {
            let store = open_store(config).await?;
            builder = builder.processor(store.processor_with(trace.retention).await?);
            Some(store)
        } else {
            None
        };
        let client = || Some(config.http_client().clone());
        if let Some(url) = &trace.otlp_url {
            let exporter = OtlpExporter::with_client(url, client());
            let exporter = exporter.context("trace.otlp_url")?;
            builder = builder.processor(ExportQueue::new(exporter));
        }
        if let Some(url) = &trace.openai_url {
            let exporter = OpenAiIngest::with_client(url, client());
            let mut exporter = exporter.context("trace.openai_url")?;
            if let Some(key) = &trace.openai_key {
                let with_key = exporter.api_key(key.expose());
                exporter = with_key.context("trace.openai_key")?;
            }
            builder = builder.processor(ExportQueue::new(exporter));
        }
        let is_wanted = store.is_some() || trace.otlp_url.is_some() || trace.openai_url.is_some();
        Ok(is_wanted.then(|| Self {
            tracer: builder.build(),
            store,
        }))
    }

    /// Waits for spans that are still to be written or sent, and reports what was lost.
    pub(crate) async fn close(&self) {
        let is_whole = self.tracer.flush(FLUSH).await;
        let n_lost = self.tracer.n_lost();
        if n_lost > 0 {
            output::note(format_args!(
                "warning: {n_lost} spans of the trace were lost"
            ));
        } else if !is_whole {
            output::note(
                "warning: the end of the trace may be lost: not everything was sent in time",
            );
        }
    }
}

/// Opens the local store: the configured one, or the default.
pub(crate) async fn open_store(config: &Config) -> Result<TraceStore> {
    let path = path(config)?;
    if Some(path) == config.trace().default_store.as_deref()
        && let Some(folder) = path.parent()
    {
        private_folder::create(folder).context("the folder of the traces")?;
    }
    Ok(TraceStore::open(path).await?)
}

/// Returns the path of the local store, whether it exists or not.
pub(crate) fn path(config: &Config) -> Result<&Path> {
    let trace = config.trace();
    let path = trace.store.as_deref().or(trace.default_store.as_deref());
    Ok(path.ok_or_else(|| {
        let file = config.file().display();
        Usage(format!(
            "no place for traces: HOME is not set; set OPENAI_AGENTS__TRACE__STORE, or `trace.store` in {file}"
        ))
    })?)
}
