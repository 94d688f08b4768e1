//! The devices of this machine: lists, finds and opens them, and explains why one cannot be used.

use std::thread;
use std::time::Duration;

use anyhow::{Error, Result};
use cpal::traits::{DeviceTrait as _, HostTrait as _};
use cpal::{Device, Host};
use openai_agents::ErrorKind;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::capture::capture;
use super::playback::playback;
use super::resampler::Resampler;
use super::stream::{OpenStream, StreamFormat};
use super::{Microphone, SAMPLE_RATE_HZ, Speaker};
use crate::failure::{DeviceFailed, Unusable};

/// The longest wait for a device to open. Sound cards take milliseconds, a headset that wakes up
/// takes seconds.
const OPENING: Duration = Duration::from_secs(10);

/// The devices of this machine.
pub(crate) struct Devices(Host);

/// What a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Microphone,
    Speaker,
}

/// A device as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceEntry {
    pub(crate) kind: DeviceKind,
    /// The id by which it can be chosen.
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whether it is used if none is chosen.
    pub(crate) is_default: bool,
}

impl DeviceKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Microphone => "--input-device",
            Self::Speaker => "--output-device",
        }
    }

    fn is_of(self, device: &Device) -> bool {
        match self {
            Self::Microphone => device.supports_input(),
            Self::Speaker => device.supports_output(),
        }
    }
}

impl Devices {
    /// Finds the sound system.
    pub(crate) fn of_system() -> Self {
        Self(cpal::default_host())
    }

    /// Lists the devices.
    ///
    /// # Errors
    ///
    /// The sound system does not answer.
    pub(crate) fn list(&self) -> Result<Vec<DeviceEntry>> {
        let devices = self
            .0
            .devices()
            .map_err(|error| unusable("cannot list the devices", &error))?;
        let devices: Vec<Device> = devices.collect();
        let mut entries = Vec::new();
        for kind in [DeviceKind::Microphone, DeviceKind::Speaker] {
            let default = self.default_of(kind);
            // The default of ALSA is often not in its own list.
            let is_listed = |id| devices.iter().any(|it| kind.is_of(it) && id_of(it) == id);
            let unlisted = default.as_ref().filter(|it| !is_listed(id_of(it)));
            let listed = devices.iter().filter(|device| kind.is_of(device));
            for device in unlisted.into_iter().chain(listed) {
                let Some(id) = id_of(device) else { continue };
                entries.push(DeviceEntry {
                    kind,
                    name: device.to_string(),
                    is_default: default.as_ref().and_then(id_of).as_ref() == Some(&id),
                    id,
                });
            }
        }
        Ok(entries)
    }

    fn open_microphone(&self, wanted: Option<&str>) -> Result<Microphone> {
        let kind = DeviceKind::Microphone;
        let device = self.find(kind, wanted)?;
        let configs = device.supported_input_configs();
        let format = chosen(kind, &device, configs)?;
        let (queue, sink) = capture(format.config.sample_rate);
        let stream = OpenStream::capture(&device, format, sink);
        Ok(Microphone {
            queue,
            resampler: Resampler::new(format.config.sample_rate, SAMPLE_RATE_HZ)?,
            stream: stream.map_err(|error| unopened(kind, &device, &error))?,
        })
    }

    fn open_speaker(&self, wanted: Option<&str>) -> Result<Speaker> {
        let kind = DeviceKind::Speaker;
        let device = self.find(kind, wanted)?;
        let configs = device.supported_output_configs();
        let format = chosen(kind, &device, configs)?;
        let sample_rate_hz = format.config.sample_rate;
        let (queue, source) = playback(sample_rate_hz);
        let stream = OpenStream::play(&device, format, source);
        Ok(Speaker {
            queue,
            sample_rate_hz,
            resampler: Resampler::new(SAMPLE_RATE_HZ, sample_rate_hz)?,
            stream: stream.map_err(|error| unopened(kind, &device, &error))?,
        })
    }

    fn default_of(&self, kind: DeviceKind) -> Option<Device> {
        match kind {
            DeviceKind::Microphone => self.0.default_input_device(),
            DeviceKind::Speaker => self.0.default_output_device(),
        }
    }

    fn find(&self, kind: DeviceKind, wanted: Option<&str>) -> Result<Device> {
        let Some(wanted) = wanted else {
            return self.default_of(kind).ok_or_else(|| {
                let message = format!("this machine has no {}", kind.name());
                not_there(message, kind)
            });
        };
        let devices = self
            .0
            .devices()
            .map_err(|error| unusable("cannot list the devices", &error))?;
        let mut named: Vec<Device> = devices
            .filter(|device| kind.is_of(device))
            .filter(|device| {
                id_of(device).as_deref() == Some(wanted) || device.to_string() == wanted
            })
            .collect();
        // Names are not unique, as with two headsets of one make. The list is empty after one `pop`
        // if exactly one device matched.
        match (named.pop(), named.is_empty()) {
            (Some(device), true) => Ok(device),
            (Some(_), false) => Err(not_there(
                format!("more than one {} is called {wanted:?}", kind.name()),
                kind,
            )),
            (None, _) => Err(not_there(
                format!("there is no {} {wanted:?}", kind.name()),
                kind,
            )),
        }
    }
}

impl Microphone {
    /// Opens the microphone of this id or name, or the default.
    ///
    /// # Errors
    ///
    /// It does not exist or cannot be used.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the device is closed as soon as it is open.
    pub(crate) async fn open(wanted: Option<&str>) -> Result<Self> {
        open(DeviceKind::Microphone, wanted, Devices::open_microphone).await
    }
}

impl Speaker {
    /// Opens the speaker of this id or name, or the default.
    ///
    /// # Errors
    ///
    /// It does not exist or cannot be used.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the device is closed as soon as it is open.
    pub(crate) async fn open(wanted: Option<&str>) -> Result<Self> {
        open(DeviceKind::Speaker, wanted, Devices::open_speaker).await
    }
}

/// Opens a device on a thread of its own.
///
/// The call waits for the driver, and a driver that is stuck must not keep the program from hearing
/// Ctrl-C. ALSA, for example, holds a lock while it waits for a device, and every other call for
/// that device waits for the lock.
async fn open<T: Send + 'static>(
    kind: DeviceKind,
    wanted: Option<&str>,
    open: fn(&Devices, Option<&str>) -> Result<T>,
) -> Result<T> {
    let wanted = wanted.map(str::to_owned);
    let (opened, is_opened) = oneshot::channel();
    let opening = move || {
        // The receiver is gone if the wait was too long.
        opened
            .send(open(&Devices::of_system(), wanted.as_deref()))
            .ok();
    };
    thread::Builder::new()
        .name("openai-agents-open".to_owned())
        .spawn(opening)?;
    let name = kind.name();
    match timeout(OPENING, is_opened).await {
        Ok(Ok(result)) => result,
        // The thread panicked, and the panic was reported.
        Ok(Err(_)) => Err(not_there(format!("cannot open the {name}"), kind)),
        Err(_) => Err(Unusable {
            kind: ErrorKind::Config,
            message: format!("cannot open the {name}: it did not answer within {OPENING:?}"),
            hint: Some(format!(
                "does another program or the sound system use it? `openai-agents devices` lists all devices; choose another with {}",
                kind.flag()
            )),
        }
        .into()),
    }
}

fn id_of(device: &Device) -> Option<String> {
    device.id().ok().map(|id| id.id().to_owned())
}

fn chosen(
    kind: DeviceKind,
    device: &Device,
    offered: Result<impl Iterator<Item = cpal::SupportedStreamConfigRange>, cpal::Error>,
) -> Result<StreamFormat> {
    let offered = offered.map_err(|error| unopened(kind, device, &error))?;
    StreamFormat::choose(offered, SAMPLE_RATE_HZ)
        .ok_or_else(|| unopened(kind, device, &cpal::ErrorKind::UnsupportedConfig.into()))
}

fn not_there(message: String, kind: DeviceKind) -> Error {
    let hint = format!(
        "`openai-agents devices` lists them; choose one with {}",
        kind.flag()
    );
    Unusable {
        kind: ErrorKind::Config,
        message,
        hint: Some(hint),
    }
    .into()
}

/// Describes a device that could not be opened.
fn unopened(kind: DeviceKind, device: &Device, error: &cpal::Error) -> Error {
    let (name, flag) = (kind.name(), kind.flag());
    let id = id_of(device).unwrap_or_default();
    let what = format!("cannot open the {name} {id:?}");
    let mut unusable = unusable_by(&what, error);
    let lists = format!("`openai-agents devices` lists all devices; choose another with {flag}");
    unusable.hint = Some(match unusable.hint {
        Some(hint) => format!("{hint}; {lists}"),
        None => lists,
    });
    unusable.into()
}

fn unusable(what: &str, error: &cpal::Error) -> Error {
    unusable_by(what, error).into()
}

fn unusable_by(what: &str, error: &cpal::Error) -> Unusable {
    let hint = match error.kind() {
        cpal::ErrorKind::PermissionDenied if cfg!(target_os = "macos") => {
            Some("allow the microphone for this terminal in System Settings, Privacy & Security")
        }
        cpal::ErrorKind::PermissionDenied => Some("on Linux, add the user to the group `audio`"),
        cpal::ErrorKind::DeviceBusy => Some("another program uses it: close that program"),
        cpal::ErrorKind::HostUnavailable => Some("start the sound system; it is not running"),
        _ => None,
    };
    Unusable {
        kind: ErrorKind::Config,
        message: format!("{what}: {}", said(error)),
        hint: hint.map(str::to_owned),
    }
}

/// Describes a device that was open and has failed.
pub(super) fn lost(kind: DeviceKind, error: &cpal::Error) -> Error {
    let name = kind.name();
    DeviceFailed {
        message: format!("the {name} has failed: {}", said(error)),
        hint: "is it still plugged in? `openai-agents devices` lists all devices".to_owned(),
    }
    .into()
}

/// Returns the message of the system or, without one, the meaning of its kind.
fn said(error: &cpal::Error) -> String {
    if let Some(message) = error.message() {
        return message.to_owned();
    }
    match error.kind() {
        cpal::ErrorKind::DeviceBusy => "it is in use".to_owned(),
        cpal::ErrorKind::DeviceNotAvailable => "it does not exist".to_owned(),
        cpal::ErrorKind::PermissionDenied => "this is not allowed".to_owned(),
        cpal::ErrorKind::UnsupportedConfig => "none of its sample formats is supported".to_owned(),
        cpal::ErrorKind::Xrun => "its stream broke off too often".to_owned(),
        _ => error.to_string(),
    }
}
