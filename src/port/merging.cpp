// SPDX-License-Identifier: Apache-2.0

// Merging two channels. Of the two ports, one's endpoint becomes that of the other one's far end, which is
// here; its former channel ends. On the way, what waits unread in that channel goes on: into the channel that
// stays, or in front of what the far end will find there.
//
//     elsewhere ══ stays    goes ══ far end         elsewhere ══ far end

#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/merge.hpp>
#include <portolan/value_limits.hpp>

#include "port/enclosures.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"
#include "port/reservation.hpp"
#include "ring/frame.hpp"

namespace portolan::port {

namespace {

constexpr std::uint64_t kInNoRing = ~std::uint64_t{0};  // no message's sequence

// Whoever reads the value as another type is told the name of this one there, too.
void tell_type(const Segment& from, Endpoint& to, Format format, std::span<const std::byte> payload) {
  std::uint32_t fingerprint = 0;
  if (format != Format::value || payload.size() < kValueHeadBytes) return;
  std::memcpy(&fingerprint, payload.data() + 1, sizeof fingerprint);  // behind the encoding
  if (to.names().told_last(fingerprint)) return;
  const std::string name = from.name_of_type(fingerprint);
  if (!name.empty()) to.names().tell(fingerprint, std::as_bytes(std::span(name)));
}

}  // namespace

std::shared_ptr<PortState> PortState::far_end() {
  struct Search {
    const PortState& of;
    std::shared_ptr<PortState> found;
  } search{*this, nullptr};
  for_each(
      [](ForkGuarded& each, void* context) {
        auto& [of, found] = *static_cast<Search*>(context);
        auto* const port = dynamic_cast<PortState*>(&each);
        if (found || port == nullptr || port->channel_ != of.channel_ ||
            port->side_ != ring::other(of.side_) || port->gone())
          return;
        found = port->weak_from_this().lock();
      },
      &search);
  return search.found;
}

std::string PortState::why_it_stays() {
  {
    const std::lock_guard lock(binding_);
    if (attachment_ && !attachment_.core()->ended() && loop_thread_ != std::this_thread::get_id())
      return "is bound to another thread's loop; post() the merge there";
  }
  Endpoint* const endpoint = use();
  if (endpoint == nullptr || !endpoint->usable()) return "is closed";
  if (writing() != Writing::nothing)
    return "has a message that is being written; commit or destroy its Space first";
  if (endpoint->reader().pinned())
    return "has an event or a reply in hand; let go of it first, or post() the merge to the loop";
  return {};
}

// Everything that waits here unread.
void PortState::pass_all_on(PortState& to, PortState& asker) {
  Endpoint& endpoint = *used();
  ring::Reader::Frame frame;
  for (;;) {
    MessageEvent event{"message"};
    if (find_message(endpoint, frame, event) != Endpoint::Take::message) return;
    if (frame.header.is_reply())
      take_reply(endpoint, frame, event);
    else if (!pass_on(endpoint, frame, to, asker))
      return;
  }
}

// What it throws leaves the message here, with everything that came along.
bool PortState::pass_on(Endpoint& endpoint, const ring::Reader::Frame& frame, PortState& to,
                        PortState& asker) {
  const NoForks no_forks;
  Unopened content;
  if (!take_off(endpoint, frame, content)) return false;
  const auto put_back = [&] {
    if (!content.descriptors.empty())
      endpoint.arrivals().put_back(content.table.generation, content.table.number,
                                   std::move(content.descriptors));
  };
  const auto format = static_cast<Format>(frame.header.format());
  PostResult result = PostResult::full;
  std::uint64_t number = 0;
  try {
    Reservation reservation(to.shared_from_this(), content.payload.size(), Writing::message);
    reservation.write(content.payload.data(), content.payload.size());
    reservation.relay(content.table.entries, content.descriptors, content.body_bytes);
    if (frame.header.is_request()) number = reservation.become_request();
    Endpoint* const into = to.used();
    tell_type(endpoint.segment(), *into, format, content.payload);
    if (content.body_bytes == 0 || into->writer().large_body_fits(content.body_bytes))
      result = reservation.send(format, std::chrono::nanoseconds::zero());
  } catch (...) {
    put_back();
    throw;
  }
  if (result == PostResult::full) {
    put_back();
    throw QueueFullError("merge(" + to.name() + ", " + name() +
                         "): the peer elsewhere has not read enough; merge again once it has");
  }
  pass(endpoint, frame);
  if (frame.header.is_request() && result == PostResult::posted)
    asker.replies_.pass_on(frame.sequence, number);
  return true;
}

// Everything that waits here unread, to be received before anything else.
void PortState::take_all_out() {
  Endpoint& endpoint = *used();
  ring::Reader::Frame frame;
  for (;;) {
    MessageEvent event{"message"};
    if (find_message(endpoint, frame, event) != Endpoint::Take::message) return;
    if (frame.header.is_reply() ? !take_reply_out(endpoint, frame) : !take_out(endpoint, frame)) return;
  }
}

bool PortState::take_out(Endpoint& endpoint, const ring::Reader::Frame& frame) {
  earlier_.push_back(MessageEvent{"message"});
  MessageEvent& event = earlier_.back();
  try {
    if (open_copy(endpoint, frame, event) != Endpoint::Take::message) return earlier_.pop_back(), false;
  } catch (...) {
    earlier_.pop_back();
    throw;
  }
  event.lanes_ = &lanes_;
  event.sequence_ = kInNoRing;
  event.frame_ = nullptr;
  ++earlier_count_;
  open_lanes();
  pass(endpoint, frame);
  return true;
}

// To whoever waits for it; a copy, as its memory is that of the channel that ends.
bool PortState::take_reply_out(Endpoint& endpoint, const ring::Reader::Frame& frame) {
  if (pass_if_taken_ahead(endpoint, frame)) return true;
  MessageEvent event{"message"};
  if (open_copy(endpoint, frame, event) != Endpoint::Take::message) return false;
  reply_number_ = number_answered(frame);
  answer(event, PendingReply::Call::later);
  pass(endpoint, frame);
  return true;
}

// Into an empty event.
void PortState::take_earlier(MessageEvent& event) noexcept {
  event = std::move(earlier_.front());
  earlier_.pop_front();
  if (earlier_.empty()) open_lanes();
}

void PortState::change_channel(MessagePort& stays, MessagePort& goes) {
  const std::shared_ptr<PortState> kept = PortAccess::state(stays), ended = PortAccess::state(goes);
  ended->pass_all_on(*kept, *this);
  take_all_out();
  retired_.reserve(retired_.size() + 1);
  // Whatever the kernel refuses, the caller has a port with which to try again.
  auto again = std::make_shared<PortState>(Parcel{});
  kept->begin_move();
  Parcel parcel = kept->finish_move();
  const ring::ChannelId channel = parcel.channel;
  const auto give_back = [&] {
    again->take_parcel(std::move(parcel));
    PortAccess::put(stays, std::move(again));
    kept->abandon();  // events may live on
  };
  Endpoint::Adoption adoption;
  std::unique_ptr<Endpoint> endpoint;
  try {
    endpoint = Endpoint::adopt(parcel, ring::Adoption::after_move, adoption);
  } catch (...) {
    give_back();
    throw;
  }
  if (endpoint == nullptr && adoption.outcome == Endpoint::Adopted::refused) {
    give_back();
    throw PortError(adoption.refused, "merge(channel " + to_text(channel) +
                                          "): its memory cannot be mapped (" + adoption.refused.message() +
                                          "); free address space or memory");
  }
  if (endpoint == nullptr)
    throw DataCloneError("merge(channel " + to_text(channel) +
                         "): the port has been adopted elsewhere; use the one that was adopted");
  replace_endpoint(std::move(endpoint));
  PortAccess::take(stays)->abandon();  // events may live on
  PortAccess::take(goes)->abandon();
}

void PortState::replace_endpoint(std::unique_ptr<Endpoint> endpoint) noexcept {
  Endpoint& former = *used();
  unbind();
  const bool was_open = former.begin_replacement();
  posted_at_merge_ = endpoint->writer().message_count();
  taken_ahead_.clear();
  large_in_hand_bytes_ = 0;
  above_threshold_ = false;
  if (unshipped_) unshipped_->leave();
  unshipped_.reset();
  take_endpoint(std::move(endpoint));
  bool close_wanted = !was_open;
  if (was_open)
    close_wanted = former.end_replacement();
  else
    former.finish_close();
  replies_.change_channel();
  rebind();
  if (close_wanted) return close();
  look_again();
}

}  // namespace portolan::port

namespace portolan {
inline namespace v1 {

namespace {

port::PortState& mergeable(const MessagePort& port) {
  const std::shared_ptr<port::PortState>& state = port::PortAccess::state(port);
  if (state) {
    state->check_process("merge");
    state->check_loop_thread("merge");
  }
  if (!state || state->gone() || state->use() == nullptr)
    throw InvalidStateError("merge" + (state ? "(" + state->name() + ")" : std::string()) +
                            ": the port is detached or closed; use the one that was received");
  if (state->writing() != port::Writing::nothing)
    throw InvalidStateError("merge(" + state->name() +
                            "): a message is being written on this port; commit or destroy its Space first");
  if (state->has_earlier())
    throw InvalidStateError(
        "merge(" + state->name() +
        "): messages that were here before its channel was merged are unread; receive them");
  return *state;
}

}  // namespace

void merge(MessagePort&& first, MessagePort&& second) {
  port::PortState &one = mergeable(first), &two = mergeable(second);
  const std::string call = "merge(" + one.name() + ", " + two.name() + "): ";
  if (one.channel() == two.channel())
    throw InvalidStateError(call + "both are of one channel; pass ports of two");
  if (one.trust() != two.trust())
    throw InvalidStateError(call +
                            "one channel has Trust::same_user and the other Trust::foreign; make both alike");
  std::string why;
  for (const bool in_order : {true, false}) {
    MessagePort &stays = in_order ? first : second, &goes = in_order ? second : first;
    const std::shared_ptr<port::PortState> far = (in_order ? two : one).far_end();
    if (!far) continue;
    const std::string reason = far->why_it_stays();
    if (reason.empty()) return far->change_channel(stays, goes);
    why = "the peer " + far->name() + ", which is here, " + reason;
  }
  if (why.empty())
    why =
        "neither peer is a port of this process: each is in another one, or in a message that nobody has "
        "received; merge where one of them is";
  throw InvalidStateError(call + why);
}

}  // namespace v1
}  // namespace portolan
