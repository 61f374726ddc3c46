// SPDX-License-Identifier: Apache-2.0

#include <stdexcept>
#include <string>
#include <utility>

#include <portolan/event_loop.hpp>
#include <portolan/message_port.hpp>

#include "os/pause.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"
#include "port/adoption.hpp"
#include "port/listeners.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"
#include "port/reservation.hpp"

namespace portolan {
inline namespace v1 {

namespace {

std::int64_t deadline_after(std::chrono::nanoseconds patience) noexcept {
  return os::monotonic_ns() + std::max<std::int64_t>(0, patience.count());
}

port::PortState& attached(const std::shared_ptr<port::PortState>& state, const char* call) {
  if (state) state->check_process(call);
  if (!state || state->gone())
    throw InvalidStateError(std::string(call) + (state ? "(" + state->name() + ")" : "") +
                            ": the port is detached or closed; use the one that was received");
  return *state;
}

}  // namespace

MessagePort::MessagePort() noexcept = default;
MessagePort::MessagePort(MessagePort&& other) noexcept
    : EventTarget(std::move(other)),
      state_(std::move(other.state_)),
      lanes_(std::exchange(other.lanes_, &lane::Lanes::kNone)) {}

MessagePort& MessagePort::operator=(MessagePort&& other) noexcept {
  if (this == &other) return *this;
  MessagePort former(std::move(*this));
  EventTarget::operator=(static_cast<EventTarget&&>(other));
  state_ = std::move(other.state_);
  lanes_ = std::exchange(other.lanes_, &lane::Lanes::kNone);
  return *this;
}

void MessagePort::attach_to(std::shared_ptr<port::PortState> state) noexcept {
  state_ = std::move(state);
  lanes_ = state_ ? &state_->lanes() : &lane::Lanes::kNone;
}

std::shared_ptr<port::PortState> MessagePort::detach() noexcept {
  lanes_ = &lane::Lanes::kNone;
  return std::exchange(state_, nullptr);
}

MessagePort::~MessagePort() {
  if (!state_) return;
  if (state_->forked()) [[unlikely]]
    port::PortState::leave_behind(std::move(state_), port::EventTargetAccess::take(*this));
  else if (!state_->lent())
    state_->abandon();
}

PostResult MessagePort::submit_flat(std::span<const std::byte> bytes, Format format,
                                    const PostOptions* options, std::chrono::nanoseconds patience) {
  const PostOptions none;
  const PostOptions& given = options != nullptr ? *options : none;
  if (state_) [[likely]]
    return state_->post_flat(bytes, format, given, patience);
  return port::drop_list(given.transfer);
}

PostResult MessagePort::submit_encoded(void* value, Encoder encoder, Format format,
                                       const PostOptions* options, std::chrono::nanoseconds patience) {
  const TransferList none;
  const TransferList& list = options != nullptr ? options->transfer : none;
  if (!state_) return port::drop_list(list);
  port::Reservation reservation(state_, 0, port::Writing::message);
  reservation.check_list(list);
  encoder(value, reservation);
  return reservation.send(format, patience);
}

void MessagePort::post_message(Gather parts, PostOptions options) {
  if (try_post_message(std::move(parts), std::move(options)) == PostResult::full) throw_full();
}

PostResult MessagePort::try_post_message(Gather parts, PostOptions options) {
  return submit_encoded(
      &parts,
      [](void* held, Sink& sink) {
        for (const std::span<const std::byte> part : static_cast<Gather*>(held)->parts())
          sink.write(part.data(), part.size());
      },
      Format::bytes, &options, std::chrono::nanoseconds::zero());
}

void MessagePort::throw_full(const char* call) const {
  const ChannelInfo about = info();
  throw QueueFullError(
      std::string(call) + "(" + state_->name() + "): the peer has not read enough of the channel's " +
      std::to_string(about.limit_bytes) +
      " bytes, or of the socket's room for ports; wait with post_message_for() or on_drain(), or raise "
      "ChannelOptions::limit_bytes");
}

Space MessagePort::reserve_elsewhere(std::size_t bytes) {
  std::optional<Space> space = try_reserve_elsewhere(bytes);
  if (!space) throw_full("reserve");
  return std::move(*space);
}

std::optional<Space> MessagePort::try_reserve_elsewhere(std::size_t bytes) {
  if (bytes > port::kMostMessageBytes)
    throw std::length_error("reserve(" + std::to_string(bytes) + " bytes on " +
                            (state_ ? state_->name() : "a detached port") +
                            "): too large for one message; post it in several");
  const auto state = state_ ? state_ : std::make_shared<port::PortState>(port::Parcel{});
  auto reservation = std::make_unique<port::Reservation>(state, bytes, port::Writing::space);
  if (!reservation->has_space_for(bytes)) return std::nullopt;
  std::byte* const room = reservation->append(bytes);
  return Space(std::move(reservation), {room, bytes});
}

void MessagePort::wake_reader() noexcept {
  state_->used()->wake_reader();
}

Received MessagePort::wait() {
  Received received(ReceiveStatus::closed);
  if (state_) state_->receive(received, port::kForever, {});
  return received;
}

Received MessagePort::look() {
  Received received(ReceiveStatus::closed);
  if (state_) state_->try_receive(received);
  return received;
}

Received MessagePort::receive_for(std::chrono::nanoseconds patience) {
  Received received(ReceiveStatus::closed);
  if (state_) state_->receive(received, deadline_after(patience), {});
  return received;
}

Received MessagePort::receive(std::stop_token stop) {
  Received received(ReceiveStatus::closed);
  if (state_) state_->receive(received, port::kForever, stop);
  return received;
}

std::size_t MessagePort::receive_batch(std::span<Received> batch) {
  return state_ ? state_->receive_batch(batch) : 0;
}

void MessagePort::set_message_handler(ListenerCallback handler) {
  set_handler("message", std::move(handler));
  start();
}

void MessagePort::dispatch_message_error(MessageEvent& message, std::string_view why) {
  port::PortState::dispatch_message_error(message, why);
}

void MessagePort::bind() {
  if (!state_) return;
  state_->check_process("start");
  if (!state_->bound()) state_->bind(EventLoop::current(), port::EventTargetAccess::listeners(*this));
}

void MessagePort::when_readable(Callback<void()> call) & {
  if (state_) return state_->when_readable(std::move(call), port::EventTargetAccess::listeners(*this));
  if (call) EventLoop::current().post(std::move(call));
}

void MessagePort::start() {
  bind();
  if (state_) state_->enable();
}

void MessagePort::attach(EventLoop& loop) {
  if (state_) state_->bind(loop, port::EventTargetAccess::listeners(*this));
}

void MessagePort::set_low_water(Buffered mark) noexcept {
  if (state_) state_->set_low_water(mark);
}

void MessagePort::set_threshold(Threshold least) noexcept {
  if (state_) state_->set_threshold(least);
}

Drained MessagePort::drained() const {
  if (state_) state_->check_process("drained");
  const port::Endpoint* const endpoint = state_ ? state_->use() : nullptr;
  return endpoint != nullptr ? Drained(state_, endpoint, endpoint->writer().message_count()) : Drained();
}

void MessagePort::ref() noexcept {
  if (state_) state_->set_ref(true);
}

void MessagePort::unref() noexcept {
  if (state_) state_->set_ref(false);
}

bool MessagePort::has_ref() const noexcept {
  return state_ && state_->ref();
}

void MessagePort::close() noexcept {
  if (const auto self = state_) self->close();
}

int MessagePort::native_handle() {
  return attached(state_, "native_handle").foreign_descriptor(port::EventTargetAccess::listeners(*this));
}

std::size_t MessagePort::dispatch() {
  const auto self = state_;
  return self ? self->dispatch_what_is_there() : 0;
}

bool MessagePort::is_open() const noexcept {
  return state_ && state_->is_open();
}

std::optional<CloseReason> MessagePort::close_reason() const noexcept {
  return state_ ? state_->close_reason() : std::nullopt;
}

Buffered MessagePort::buffered_amount() const noexcept {
  if (!state_ || state_->forked()) return {};
  port::Endpoint* endpoint = nullptr;
  try {
    endpoint = state_->use();  // a port that has arrived knows it from its first use on
  } catch (const std::exception&) {
    return {};
  }
  if (endpoint == nullptr || !endpoint->usable()) return {};
  const auto [messages, bytes] = endpoint->unread();
  return {messages, bytes};
}

Peer MessagePort::peer() const {
  port::PortState& state = attached(state_, "peer");
  const os::Credentials maker = state.maker();
  return {maker.uid, maker.gid, static_cast<std::uint32_t>(maker.pid)};
}

ChannelInfo MessagePort::info() const {
  if (!state_) return {};
  ChannelInfo about;
  state_->check_process("info");
  about.id = port::to_text(state_->channel());
  about.trust = state_->trust();
  port::Endpoint* const endpoint = state_->use();
  if (endpoint == nullptr) return about;
  about.label = endpoint->segment().label();
  about.limit_bytes = endpoint->segment().limit_bytes();
  about.messages_posted = endpoint->writer().message_count();
  about.bytes_posted = endpoint->writer().message_bytes();
  about.messages_received = endpoint->reader().taken_count();
  about.bytes_received = endpoint->reader().taken_bytes();
  about.adoptions = endpoint->adoptions();
  about.late_replies = state_->late_replies();
  about.posts_refused = state_->stalls().refused;
  about.waits_for_room = state_->stalls().waits;
  about.waited_for_room_ns = state_->stalls().waited_ns;
  return about;
}

PortHandle MessagePort::release() && {
  port::PortState& state = attached(state_, "release");
  state.begin_move();
  port::Parcel parcel = state.finish_move();
  detach()->abandon();  // events may live on
  return {std::move(parcel.segment), std::move(parcel.socket), parcel.expected_generation,
          parcel.side == ring::Side::b};
}

namespace {

port::Parcel parcel_of(PortHandle&& handle) {
  port::Parcel parcel;
  parcel.segment = std::move(handle.segment());
  parcel.socket = std::move(handle.socket());
  parcel.expected_generation = handle.generation();
  parcel.side = handle.second_side() ? ring::Side::b : ring::Side::a;
  return parcel;
}

[[noreturn]] void refuse_handle(const port::Endpoint::Adoption& adoption, const std::string& call,
                                const ring::ChannelId& channel) {
  if (!adoption.wrong.empty())
    throw DataCloneError(call + ": the handle is no port: " + adoption.wrong +
                         "; pass both descriptors, the generation and the side of one that release() gave");
  const std::string object = call + "(channel " + port::to_text(channel) + "): ";
  if (adoption.outcome == port::Endpoint::Adopted::lost)
    throw DataCloneError(object +
                         "somebody else has adopted this port, or it is in transit; use the one that was "
                         "adopted first");
  throw PortError(adoption.refused, object + "the channel's memory cannot be mapped (" +
                                        adoption.refused.message() +
                                        "); the handle is unchanged; free address space");
}

MessagePort adopt_parcel(port::Parcel parcel, ring::Adoption how, PortHandle& handle, const char* call) {
  port::Endpoint::Adoption adoption;
  try {
    auto state = std::make_shared<port::PortState>(port::Parcel{});
    adoption.wrong = port::read_header(parcel, &adoption.refused);
    if (adoption.wrong.empty()) adoption.wrong = port::inspect_parcel(parcel, 0, &adoption.refused);
    if (adoption.refused) {
      adoption.wrong.clear();
    } else if (adoption.wrong.empty()) {
      if (auto endpoint = port::Endpoint::adopt(parcel, how, adoption)) {
        state->take_endpoint(std::move(endpoint));
        return port::PortAccess::make(std::move(state));
      }
    }
    refuse_handle(adoption, call, parcel.channel);
  } catch (...) {
    const bool kept = adoption.wrong.empty() && adoption.outcome != port::Endpoint::Adopted::lost;
    if (kept)
      handle = {std::move(parcel.segment), std::move(parcel.socket), handle.generation(),
                handle.second_side()};
    throw;
  }
}

}  // namespace

}  // namespace v1

namespace port {

MessagePort recover_parcel(Parcel parcel, const std::string& call) {
  PortHandle unchanged;
  return adopt_parcel(std::move(parcel), ring::Adoption::after_death, unchanged, call.c_str());
}

}  // namespace port

inline namespace v1 {

MessagePort MessagePort::adopt(PortHandle&& handle) {
  if (!handle) throw InvalidStateError("adopt: the handle is empty; pass one that release() gave");
  return adopt_parcel(parcel_of(std::move(handle)), ring::Adoption::after_move, handle, "adopt");
}

PortHandle MessagePort::custody_handle() const {
  port::PortState& state = attached(state_, "custody_handle");
  // Adopted first: a port that was never used could go on to another owner without a trace in its generation.
  const port::Endpoint* const endpoint = state.use();
  if (endpoint == nullptr)
    throw InvalidStateError(
        "custody_handle: somebody else has adopted the port; use the one that was received");
  const auto [segment, socket] = state.descriptors_moving();
  FileDescriptor again_segment = FileDescriptor::duplicate_of(segment);
  FileDescriptor again_socket = FileDescriptor::duplicate_of(socket);
  return {std::move(again_segment), std::move(again_socket), endpoint->generation(),
          state.side() == ring::Side::b};
}

MessagePort MessagePort::recover(PortHandle&& handle, const FileDescriptor& owner) {
  if (!handle) throw InvalidStateError("recover: the handle is empty; pass one that custody_handle() gave");
  if (!os::is_dead(owner.get()))
    throw InvalidStateError("recover: the owner is still alive; wait until its pidfd is readable");
  const bool second_side = handle.second_side();
  port::Parcel parcel = parcel_of(std::move(handle));
  switch (port::read_present_generation(parcel)) {
    case port::Custody::recoverable:
      break;
    case port::Custody::in_transit:
      handle = {std::move(parcel.segment), std::move(parcel.socket), parcel.expected_generation, second_side};
      throw DataCloneError(
          "recover: the owner was moving the port away when it died; adopt() the handle if it has arrived "
          "nowhere, else "
          "drop it");
    case port::Custody::someone_elses:
      throw DataCloneError(
          "recover: the port has had another owner since the handle was made, and is its to recover");
  }
  MessagePort port = adopt_parcel(std::move(parcel), ring::Adoption::after_death, handle, "recover");
  // Whoever reaps a dead owner: what only its queues reached can be collected now.
  os::kick_socket_collector();
  return port;
}

}  // namespace v1
}  // namespace portolan
