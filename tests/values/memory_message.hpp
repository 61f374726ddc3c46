// SPDX-License-Identifier: Apache-2.0

// Messages in plain memory instead of a ring, with ports that are only numbers, so that values are tested
// without anything below them. The sink starts small, to move at every growth.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <portolan/codec.hpp>
#include <portolan/error.hpp>

namespace portolan {
inline namespace v1 {

// A stand-in: 0 is a detached port.
class MessagePort {
 public:
  MessagePort() = default;
  explicit MessagePort(int number) : number_(number) {}
  MessagePort(MessagePort&& other) noexcept : number_(std::exchange(other.number_, 0)) {}
  MessagePort& operator=(MessagePort&& other) noexcept {
    number_ = std::exchange(other.number_, 0);
    return *this;
  }
  int number() const { return number_; }

 private:
  int number_ = 0;
};

}  // namespace v1
}  // namespace portolan

namespace portolan::testing {

struct Message {
  Format format;
  std::vector<std::byte> payload;
  std::vector<int> ports;
};

class MemorySink : public Sink {
 public:
  MemorySink(bool trusted, std::vector<MessagePort*> listed) : Sink(trusted), listed_(std::move(listed)) {
    for (MessagePort* port : listed_) ports_.push_back(port->number());
  }

  std::vector<std::byte> payload() const { return {begin_, cursor_}; }

  // The post has succeeded: ports are detached.
  std::vector<int> detach() {
    for (MessagePort* port : listed_) *port = MessagePort();
    return ports_;
  }

 private:
  void grow(std::size_t bytes) override {
    const std::size_t used = written();
    auto larger = std::make_unique<std::byte[]>(used + bytes);
    if (used != 0) std::memcpy(larger.get(), begin_, used);
    memory_ = std::move(larger);
    begin_ = memory_.get();
    cursor_ = begin_ + used;
    end_ = cursor_ + bytes;
  }

  std::uint32_t attach_port(MessagePort& port, Ownership ownership) override {
    if (port.number() == 0) throw DataCloneError("a detached port");
    const auto found = std::find(ports_.begin(), ports_.end(), port.number());
    const auto index = static_cast<std::uint32_t>(found - ports_.begin());
    if (found != ports_.end()) return index;
    if (ownership == Ownership::must_be_listed) throw DataCloneError("a port that is not in the list");
    ports_.push_back(port.number());
    listed_.push_back(&port);
    return index;
  }

  std::unique_ptr<std::byte[]> memory_;
  std::vector<MessagePort*> listed_;
  std::vector<int> ports_;
};

class MemorySource final : public Source {
 public:
  MemorySource(const Message& message, bool trusted)
      : Source(message.payload.data(), message.payload.size(), message.format, trusted),
        ports_(message.ports) {}

 private:
  void lend_port(std::uint32_t index, MessagePort& into) override {
    if (index >= ports_.size() || ports_[index] == 0) throw DataCloneError("no such port");
    into = MessagePort(std::exchange(ports_[index], 0));
  }

  std::vector<int> ports_;
};

template <class T>
Message post(T&& value, std::vector<MessagePort*> listed = {}, bool trusted = true) {
  MemorySink sink(trusted, std::move(listed));
  encode(std::forward<T>(value), sink);
  return {format_of<std::remove_cvref_t<T>>(), sink.payload(), sink.detach()};
}

template <class T>
T receive(const Message& message, bool trusted = true) {
  // In an allocation of exactly its size, so that AddressSanitizer sees a read past the end.
  Message exact = message;
  exact.payload.shrink_to_fit();
  MemorySource source(exact, trusted);
  return decode<T>(source);
}

template <class T>
T round_trip(const T& value) {
  return receive<T>(post(value));
}

}  // namespace portolan::testing
