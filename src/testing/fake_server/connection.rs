//! One connection: requests in, replies out, and an eye on whether the client is still there.

use std::io;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, pending, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::StateSender;
use super::reply::{Framing, Reply, Step};
use super::request::read_request;

/// What follows on a reply.
enum Ending {
    NextRequest,
    Close,
    Reset,
}

pub(super) async fn serve(mut stream: TcpStream, connection: usize, shared: StateSender) {
    // Without this the steps of a reply would be held back and joined.
    if let Err(error) = stream.set_nodelay(true) {
        shared.problem(format!("a connection cannot be set up: {error}"));
    }
    let mut buffer = BytesMut::new();
    loop {
        let request = match read_request(&mut stream, &mut buffer, connection).await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(problem) => return shared.problem(problem),
        };
        let reply = shared.answer(request);
        let (reader, writer) = stream.split();
        let ending = {
            let playing = pin!(play(writer, &reply));
            let leaving = pin!(client_left(reader, &mut buffer));
            match select(playing, leaving).await {
                Either::Left((Ok(ending), _)) => Some(ending),
                Either::Left((Err(_), _)) | Either::Right(_) => None,
            }
        };
        match ending {
            Some(Ending::NextRequest) => {}
            Some(Ending::Close) => return,
            Some(Ending::Reset) => {
                if let Err(error) = stream.set_zero_linger() {
                    shared.problem(format!("a connection cannot be reset: {error}"));
                }
                return;
            }
            None => return shared.change(|state| state.n_abandoned += 1),
        }
    }
}

async fn play(mut writer: WriteHalf<'_>, reply: &Reply) -> io::Result<Ending> {
    writer.write_all(reply.head().as_bytes()).await?;
    for step in &reply.steps {
        match step {
            Step::Bytes(bytes) => write_bytes(&mut writer, bytes, reply.framing).await?,
            Step::Pause(duration) => tokio::time::sleep(*duration).await,
            Step::Hang => pending().await,
            Step::Reset => return Ok(Ending::Reset),
            Step::Close => return Ok(Ending::Close),
        }
    }
    match reply.framing {
        Framing::Chunked => writer.write_all(b"0\r\n\r\n").await?,
        Framing::UntilClose => return Ok(Ending::Close),
        Framing::ContentLength | Framing::DeclaredLength(_) | Framing::Raw => {}
    }
    Ok(Ending::NextRequest)
}

async fn write_bytes(
    writer: &mut WriteHalf<'_>,
    bytes: &Bytes,
    framing: Framing,
) -> io::Result<()> {
    // A chunk of no bytes would be the end of the body.
    if bytes.is_empty() {
        return Ok(());
    }
    if framing == Framing::Chunked {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        writer.write_all(&chunk).await?;
    } else {
        writer.write_all(bytes).await?;
    }
    // Lets the other side read before the next write.
    tokio::task::yield_now().await;
    Ok(())
}

/// Ends when the client closes the connection; a request that comes early is kept.
async fn client_left(mut reader: ReadHalf<'_>, buffer: &mut BytesMut) {
    while reader.read_buf(buffer).await.unwrap_or(0) > 0 {}
}
