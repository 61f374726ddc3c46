// SPDX-License-Identifier: Apache-2.0

// Two channels become one: for whoever has introduced two sides to each other, and wants to be out of it.
#pragma once

#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

/// Joins the channels of two ports, which are detached: from now on their peers talk to each other, over one
/// hop. One of the peers has to be a port of this process, and of this thread; it becomes the other end of
/// the other channel, and stays the object that it is, with its listeners, its loop and its requests; where
/// both are ports of this process, that is the peer of `second`, if it can. The other peer may be anywhere,
/// and notices nothing.
///
/// Nothing is lost, repeated or out of order: what a peer has posted and these two ports have not received
/// goes on to the other peer, with its ports, behind what was posted before; events in hand count as
/// received. A request that goes on is answered by the other peer; one that either of the two ports has
/// posted, or has received and not answered, ends with ReplyStatus::closed or detached. Drained objects of
/// the peer that changes channels wait for all that was posted up to the merge.
///
/// Throws InvalidStateError, with the reason, if it cannot be: neither peer is a port here (it is in another
/// process, or in a message that nobody has received), it is bound to another thread's loop, an event or a
/// reply of it is still in hand, both ports are of one channel, their Trust differs, or one of them has
/// messages unread that a former merge has brought it. QueueFullError: the peer elsewhere has not read
/// enough; what has gone on by then has gone, in order, and a later call goes on with the rest.
/// DataCloneError and PortError as of a transfer. After each of them both ports are still the caller's.
///
/// Limits: what was unread at the peer that changes channels is copied, and until it has received that it
/// can be neither transferred nor merged; changing channels again does no harm. Custody ends with its former
/// channel.
///
/// Threads: the two ports and the peer that changes channels are used by the calling thread alone meanwhile;
/// close() comes from any.
PORTOLAN_API void merge(MessagePort&& first, MessagePort&& second);

}  // namespace v1
}  // namespace portolan
