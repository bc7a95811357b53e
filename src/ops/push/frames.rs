//! From chunks to packs in the spool: frames are compressed on the CPU pool, put into packs in order by one
//! thread, and the packs handed to the upload. Memory and disk are bounded by two budgets.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};

use crate::ambient::{Entropy, random};
use crate::cpu::CpuPool;
use crate::crypto::RepoKey;
use crate::error::{Error, Result};
use crate::format::{ChunkId, MachineId, PackName, PackRef, RepositoryId};
use crate::local::Spool;
use crate::repo::{Frame, PackBuilder};

/// Uncompressed frame bytes that may be on their way to a pack.
const FRAMES_IN_FLIGHT_BYTES: u64 = 12 << 20;

/// Something there is a limited amount of; whoever needs more waits. Closed when the other side has failed.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    state: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, state: Mutex::new((0, false)), changed: Condvar::new() })
    }

    /// Takes an amount, waiting until there is room. One that is larger than the limit is let through alone.
    fn take(&self, amount: u64) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.1 && state.0 > 0 && state.0 + amount > self.limit {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.1 {
            return Err(Error::Cancelled);
        }
        state.0 += amount;
        Ok(())
    }

    pub(super) fn give(&self, amount: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_sub(amount);
        self.changed.notify_all();
    }

    /// Wakes everybody who waits, with `B2_CANCELLED`.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }
}

/// What packs are made with.
#[derive(Clone, Debug)]
pub(super) struct PackMaker {
    pub(super) key: RepoKey,
    pub(super) repository: RepositoryId,
    pub(super) machine: MachineId,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) spool: Spool,
    pub(super) next_pack: u32,
}

/// Where frames went, and what went wrong.
#[derive(Debug, Default)]
struct Placed {
    /// Pack number and first chunk of each frame, in order.
    places: Vec<(u32, u32)>,
    failed: Option<Error>,
}

/// The way from chunks to packs.
#[derive(Debug)]
pub(super) struct FramePipe {
    cpu: CpuPool,
    frames: mpsc::Sender<(u32, Result<Frame>)>,
    in_flight: Arc<Budget>,
    placed: Arc<(Mutex<Placed>, Condvar)>,
    next: u32,
    thread: Option<std::thread::JoinHandle<PackMakerEnd>>,
}

/// What is left when all packs are made.
#[derive(Debug, Default)]
pub(super) struct PackMakerEnd {
    /// Every pack that was made, by rising number.
    pub(super) packs: Vec<PackRef>,
    pub(super) next_pack: u32,
}

impl FramePipe {
    /// Starts the pack-making thread; finished packs go to `uploads` once the spool has room.
    pub(super) fn start(
        cpu: CpuPool,
        maker: PackMaker,
        spool_room: Arc<Budget>,
        uploads: tokio::sync::mpsc::UnboundedSender<PackRef>,
    ) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let in_flight = Budget::new(FRAMES_IN_FLIGHT_BYTES);
        let placed = Arc::new((Mutex::new(Placed::default()), Condvar::new()));
        let (budget, where_to) = (Arc::clone(&in_flight), Arc::clone(&placed));
        let thread = std::thread::Builder::new()
            .name("b2-packs".into())
            .spawn(move || {
                let mut packer = Packer {
                    maker,
                    current: None,
                    end: PackMakerEnd::default(),
                    spool_room,
                    uploads,
                };
                if let Err(error) = packer.run(&receiver, &budget, &where_to) {
                    let mut state = where_to.0.lock().unwrap_or_else(PoisonError::into_inner);
                    state.failed = Some(error);
                    budget.close();
                    where_to.1.notify_all();
                }
                packer.end.next_pack = packer.maker.next_pack;
                packer.end
            })
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        Ok(Self { cpu, frames: sender, in_flight, placed, next: 0, thread: Some(thread) })
    }

    /// Number of the frame that the next [`Self::push`] makes.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Sends a frame on its way.
    pub(super) fn push(
        &mut self,
        raw: Vec<u8>,
        lengths: Vec<u32>,
        ids: Vec<ChunkId>,
    ) -> Result<()> {
        let number = self.next;
        self.next = number.checked_add(1).ok_or_else(|| Error::internal("too many frames"))?;
        if self.in_flight.take(raw.len() as u64).is_err() {
            return Err(self.failure());
        }
        let frames = self.frames.clone();
        self.cpu.start(
            move || Frame::compress(raw, lengths, ids),
            move |frame| {
                let _receiver_gone = frames.send((number, frame.and_then(|frame| frame)));
            },
        );
        Ok(())
    }

    fn failure(&self) -> Error {
        let mut state = self.placed.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed.take().unwrap_or(Error::Cancelled)
    }

    /// Waits until every frame so far has its place: pack number and first chunk, by frame number.
    pub(super) fn places(&self) -> Result<Vec<(u32, u32)>> {
        let mut state = self.placed.0.lock().unwrap_or_else(PoisonError::into_inner);
        while state.failed.is_none() && state.places.len() < self.next as usize {
            state = self.placed.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match state.failed.take() {
            Some(error) => Err(error),
            None => Ok(state.places.clone()),
        }
    }

    /// Closes the last pack and waits for the thread.
    pub(super) fn finish(mut self) -> Result<PackMakerEnd> {
        let thread = self.thread.take();
        let Self { frames, placed, .. } = self;
        drop(frames);
        let end = thread.map(std::thread::JoinHandle::join).transpose();
        let end =
            end.map_err(|_| Error::internal("the pack-making thread failed"))?.unwrap_or_default();
        let failed = placed.0.lock().unwrap_or_else(PoisonError::into_inner).failed.take();
        failed.map_or(Ok(end), Err)
    }
}

struct Packer {
    maker: PackMaker,
    current: Option<PackBuilder>,
    end: PackMakerEnd,
    spool_room: Arc<Budget>,
    uploads: tokio::sync::mpsc::UnboundedSender<PackRef>,
}

impl Packer {
    fn run(
        &mut self,
        frames: &mpsc::Receiver<(u32, Result<Frame>)>,
        in_flight: &Budget,
        placed: &(Mutex<Placed>, Condvar),
    ) -> Result<()> {
        // Frames come as they are compressed and are stored in their own order, which keeps the chunks of a
        // file together.
        let mut early: BTreeMap<u32, Frame> = BTreeMap::new();
        let mut next = 0;
        while let Ok((number, frame)) = frames.recv() {
            early.insert(number, frame?);
            while let Some(frame) = early.remove(&next) {
                let raw_bytes = frame.raw_bytes();
                let place = self.add(frame)?;
                in_flight.give(raw_bytes);
                next += 1;
                placed.0.lock().unwrap_or_else(PoisonError::into_inner).places.push(place);
                placed.1.notify_all();
            }
        }
        self.close()
    }

    fn add(&mut self, frame: Frame) -> Result<(u32, u32)> {
        if self.current.as_ref().is_some_and(|pack| pack.is_full_for(&frame)) {
            self.close()?;
        }
        let pack = match &mut self.current {
            Some(pack) => pack,
            none => {
                let maker = &mut self.maker;
                let number = maker.next_pack;
                maker.next_pack = number
                    .checked_add(1)
                    .ok_or_else(|| Error::internal("pack numbers are used up"))?;
                let name = PackName(random(&*maker.entropy)?);
                let salt = random(&*maker.entropy)?;
                none.insert(PackBuilder::new(
                    &maker.key,
                    maker.repository,
                    maker.machine,
                    number,
                    name,
                    salt,
                ))
            }
        };
        Ok((pack.number(), pack.add(frame)?))
    }

    fn close(&mut self) -> Result<()> {
        let Some(pack) = self.current.take() else { return Ok(()) };
        let sealed = pack.finish()?;
        self.spool_room.take(sealed.reference.bytes)?;
        self.maker.spool.add(&sealed)?;
        self.end.packs.push(sealed.reference);
        // The upload has ended early only when it failed, and says so itself.
        let _upload_gone = self.uploads.send(sealed.reference);
        Ok(())
    }
}
