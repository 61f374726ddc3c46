// SPDX-License-Identifier: Apache-2.0

// Reading and keeping messages.

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <portolan/message_event.hpp>

#include "port/buffer_access.hpp"
#include "port/enclosures.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"

namespace portolan {

namespace port {

// A message's payload and what came with it, for the time of one read. All of that is only lent until it has
// succeeded.
class MessageSource final : public Source {
 public:
  explicit MessageSource(const MessageContent& content) noexcept
      : Source(content.data_, content.size_bytes_, content.format_, content.trusted_), content_(content) {}
  ~MessageSource() override {
    if (lent_ == nullptr) return;
    for (MessagePort* const slot : lent_->ports) PortAccess::state(*slot)->set_lent(false);
  }
  // The value keeps what it took.
  void succeeded() noexcept {
    if (lent_ == nullptr) return;
    for (MessagePort* const slot : lent_->ports) PortAccess::take(*slot)->set_lent(false);
    for (SharedBuffer* const slot : lent_->buffers) *slot = {};
    for (FileDescriptor* const slot : lent_->descriptors) slot->reset();
    lent_.reset();
  }
  std::string name_of_type(std::uint32_t fingerprint) const override {
    const Segment* const segment = content_.segment();
    return segment != nullptr ? segment->name_of_type(fingerprint) : std::string();
  }

 private:
  void lend_port(std::uint32_t index, MessagePort& into) override {
    Enclosures* const enclosures = content_.enclosures_;
    if (enclosures == nullptr || index >= enclosures->ports.size())
      throw DataCloneError("data: the value names a port that did not come with the message");
    MessagePort& slot = enclosures->ports[index];
    const std::shared_ptr<PortState>& state = PortAccess::state(slot);
    if (!state)
      throw DataCloneError(
          "data: the value names a port that was taken before, or lost; read the value before ports()");
    if (state->lent()) throw DataCloneError("data: the value names one port twice");
    lent().ports.push_back(&slot);
    state->set_lent(true);
    PortAccess::put(into, state);
  }

  // The slot of `index`, which has something; `what` is a noun for what is thrown.
  template <class T>
  T& slot_of(std::vector<T> Enclosures::*slots, std::uint32_t index, const std::string& what) const {
    Enclosures* const enclosures = content_.enclosures_;
    if (enclosures == nullptr || index >= (enclosures->*slots).size())
      throw DataCloneError("data: the value names a " + what + " that did not come with the message");
    T& slot = (enclosures->*slots)[index];
    if (!slot)
      throw DataCloneError(
          "data: the value names a " + what +
          " that was taken before, or lost; read the value before what came with it is moved out");
    return slot;
  }
  template <class T>
  static void lend(T& slot, std::vector<T*>& lent, const char* what) {
    if (std::find(lent.begin(), lent.end(), &slot) != lent.end())
      throw DataCloneError(std::string("data: the value names one ") + what + " twice");
    lent.push_back(&slot);
  }

  void lend_buffer(std::uint32_t index, SharedBuffer& into) override {
    SharedBuffer& slot = slot_of(&Enclosures::buffers, index, "buffer");
    if (slot.is_shared()) {
      into = BufferAccess::make(std::make_shared<BufferState>(*BufferAccess::state(slot)));
      return;
    }
    lend(slot, lent().buffers, "buffer");
    into = BufferAccess::make(BufferAccess::state(slot));
  }

  void lend_descriptor(std::uint32_t index, FileDescriptor& into) override {
    FileDescriptor& slot = slot_of(&Enclosures::descriptors, index, "descriptor");
    lend(slot, lent().descriptors, "descriptor");
    // Whatever owns this number in a value that cannot be read closes it, and the message keeps its own.
    into = slot.duplicate();
  }

  void lend_view(std::uint32_t index, BufferView& into) override {
    into = slot_of(&Enclosures::views, index, "view");
  }

  struct Lent {
    std::vector<MessagePort*> ports;
    std::vector<SharedBuffer*> buffers;
    std::vector<FileDescriptor*> descriptors;
  };
  Lent& lent() {
    if (lent_ == nullptr) lent_ = std::make_unique<Lent>();
    return *lent_;
  }

  const MessageContent& content_;
  std::unique_ptr<Lent> lent_;  // null until something is lent, as for nearly all messages
};

}  // namespace port

inline namespace v1 {

// Of the channel that it came through, while something of it is here.
const port::Segment* MessageContent::segment() const noexcept {
  if (kept_) return static_cast<const Message&>(*this).segment_.get();
  const lane::Lanes* const lanes = static_cast<const MessageEvent&>(*this).lanes_;
  port::Endpoint* const endpoint = lanes != nullptr ? lanes->port().used() : nullptr;
  return endpoint != nullptr ? &endpoint->segment() : nullptr;
}

void MessageContent::read(Decoder decoder, void* into) {
  if (enclosures_ != nullptr && enclosures_->broken) throw DataCloneError(port::kCutOff);
  port::MessageSource source(*this);
  try {
    decoder(source, into);
  } catch (const DataCloneError& error) {
    if (data_ != nullptr) throw;
    throw DataCloneError(std::string(error.what()) +
                         "; there is no message here, or an empty one: look at Received::status() first");
  }
  source.succeeded();
}

bool MessageContent::readable(Decoder decoder) noexcept {
  if (enclosures_ != nullptr && enclosures_->broken) return false;
  try {
    port::MessageSource source(*this);
    decoder(source, nullptr);
    return true;
  } catch (const DataCloneError&) {
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

std::span<MessagePort> MessageContent::ports() noexcept {
  return enclosures_ != nullptr ? std::span(enclosures_->ports) : std::span<MessagePort>();
}

std::span<SharedBuffer> MessageContent::buffers() noexcept {
  return enclosures_ != nullptr ? std::span(enclosures_->buffers) : std::span<SharedBuffer>();
}

std::string_view MessageContent::what() const noexcept {
  return enclosures_ != nullptr ? std::string_view(enclosures_->what) : std::string_view();
}

std::span<FileDescriptor> MessageContent::descriptors() noexcept {
  return enclosures_ != nullptr ? std::span(enclosures_->descriptors) : std::span<FileDescriptor>();
}

void MessageContent::close(port::Enclosures* owned) noexcept {
  delete owned;
}

MessageEvent& MessageEvent::operator=(MessageEvent&& other) noexcept {
  if (this == &other) return *this;
  end();
  Event::operator=(static_cast<Event&&>(other));
  MessageContent::operator=(static_cast<MessageContent&&>(other));
  lanes_ = std::exchange(other.lanes_, nullptr);
  sequence_ = other.sequence_;
  frame_ = other.frame_;
  frame_bytes_ = other.frame_bytes_;
  return *this;
}

void MessageEvent::let_go(const lane::Lanes& lanes, std::uint64_t sequence, std::span<const std::byte> frame,
                          port::Enclosures* owned) noexcept {
  const std::uint64_t large_bytes = owned != nullptr ? owned->body_bytes : 0;
  close(owned);
  lanes.port().release(sequence, frame.data(), static_cast<std::uint32_t>(frame.size()), large_bytes);
}

Message MessageEvent::keep() && {
  Message message;
  static_cast<MessageContent&>(message) = std::move(static_cast<MessageContent&>(*this));
  if (lanes_ == nullptr) return message;
  port::PortState& port = std::exchange(lanes_, nullptr)->port();
  if (frame_ != nullptr) {
    message.segment_ = port.used()->shared_segment();
    message.extent_ = &port.hold(frame_);
  }
  const std::uint64_t large_bytes = message.enclosures_ != nullptr ? message.enclosures_->body_bytes : 0;
  port.release(sequence_, frame_, frame_bytes_, large_bytes);
  return message;
}

Message::Message(Message&& other) noexcept
    : MessageContent(std::move(other)),
      segment_(std::move(other.segment_)),
      extent_(std::exchange(other.extent_, nullptr)) {}

Message& Message::operator=(Message&& other) noexcept {
  if (this == &other) return *this;
  let_go();
  MessageContent::operator=(static_cast<MessageContent&&>(other));
  segment_ = std::move(other.segment_);
  extent_ = std::exchange(other.extent_, nullptr);
  return *this;
}

Message::~Message() {
  let_go();
}

void Message::let_go() noexcept {
  ring::Extent* const extent = std::exchange(extent_, nullptr);
  if (extent != nullptr && extent->let_go()) segment_->hand_back_kept();
  segment_.reset();
}

}  // namespace v1
}  // namespace portolan
