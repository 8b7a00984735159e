//! What librdkafka knows and rust-rdkafka's safe API does not tell: a message's persistence, broker and
//! latency, and a member's id and generation. All of khd's calls into C are here.

use std::ffi::CStr;

use rdkafka::bindings;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::message::BorrowedMessage;

/// Whether a message that was sent is in the log, as far as librdkafka knows.
///
/// librdkafka never goes back from the second to the first: a message that may have been written by one attempt
/// and was refused in the next stays `PossiblyPersisted`. It takes a broker's "not the leader" for "not written",
/// though a leader that is deposed while it waits for its followers answers so for a message that it has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It never was.
    NotPersisted,
    /// It may be.
    PossiblyPersisted,
    /// A broker said so.
    Persisted,
}

/// Whether the message of a delivery report was written.
pub fn persistence(message: &BorrowedMessage<'_>) -> Persistence {
    // SAFETY: a `BorrowedMessage` points to a message inside librdkafka's own `rd_kafka_msg_t` (that of a delivery
    // report's or a fetch's event) and keeps the event alive; the call only reads a field of it.
    match unsafe { bindings::rd_kafka_message_status(message.ptr()) } {
        bindings::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Persistence::NotPersisted,
        bindings::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Persistence::PossiblyPersisted,
        bindings::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_PERSISTED => Persistence::Persisted,
    }
}

/// The broker that answered for the message of a delivery report; `None` when none did.
pub fn broker(message: &BorrowedMessage<'_>) -> Option<i32> {
    // SAFETY: as in `persistence`.
    let id = unsafe { bindings::rd_kafka_message_broker_id(message.ptr()) };
    (id >= 0).then_some(id)
}

/// How long the message of a delivery report took, from the call that sent it, in microseconds; `None` where unknown.
pub fn latency(message: &BorrowedMessage<'_>) -> Option<u64> {
    // SAFETY: as in `persistence`.
    let micros = unsafe { bindings::rd_kafka_message_latency(message.ptr()) };
    u64::try_from(micros).ok()
}

/// A consumer's place in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group's generation.
    pub generation: i32,
    /// The member's id.
    pub member: String,
}

/// The consumer's place in its group; `None` while it has none.
pub fn membership<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Membership> {
    // SAFETY: the client outlives the call, and the result, when there is one, is ours until it is destroyed below.
    let metadata = unsafe { bindings::rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) };
    if metadata.is_null() {
        return None;
    }
    // SAFETY: `metadata` is valid until it is destroyed, and so is the NUL-terminated string inside it, which is
    // copied before that.
    let membership = unsafe {
        let member = bindings::rd_kafka_consumer_group_metadata_member_id(metadata);
        let membership = Membership {
            generation: bindings::rd_kafka_consumer_group_metadata_generation_id(metadata),
            member: if member.is_null() {
                String::new()
            } else {
                CStr::from_ptr(member).to_string_lossy().into_owned()
            },
        };
        bindings::rd_kafka_consumer_group_metadata_destroy(metadata);
        membership
    };
    (membership.generation >= 0 && !membership.member.is_empty()).then_some(membership)
}
