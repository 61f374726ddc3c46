// SPDX-License-Identifier: Apache-2.0

// Inputs of the targets that read C++ types: the first byte says which type of a list, and whether a whole
// message follows or, so that no time goes into guessing fingerprints, only what stands behind its head.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <portolan/file_descriptor.hpp>
#include <portolan/values.hpp>

#include "fuzz/target.hpp"
#include "values/memory_message.hpp"

namespace portolan {
inline namespace v1 {

// Stand-ins, as that for ports is: 0 is a detached buffer, or a view of nothing.
class SharedBuffer {
 public:
  SharedBuffer() = default;
  explicit SharedBuffer(int number) : number_(number) {}
  SharedBuffer(SharedBuffer&& other) noexcept : number_(std::exchange(other.number_, 0)) {}
  SharedBuffer& operator=(SharedBuffer&& other) noexcept {
    number_ = std::exchange(other.number_, 0);
    return *this;
  }
  int number() const { return number_; }

 private:
  int number_ = 0;
};

class BufferView {
 public:
  BufferView() = default;
  explicit BufferView(int number) : number_(number) {}
  int number() const { return number_; }

 private:
  int number_ = 0;
};

}  // namespace v1
}  // namespace portolan

namespace portolan::fuzz {

inline constexpr unsigned kWholeMessage = 0x80;
inline constexpr std::size_t kPorts = 3;  // and as many buffers, descriptors and views

// Of descriptors that are not open in this program.
inline constexpr int kFirstDescriptor = 1 << 20;

// What goes along with a message has its number there already.
class InputSink final : public testing::MemorySink {
 public:
  using MemorySink::MemorySink;

 private:
  static std::uint32_t index_of(int number) {
    if (number <= 0) throw DataCloneError("nothing");
    return static_cast<std::uint32_t>(number) - 1;
  }
  std::uint32_t attach_buffer(SharedBuffer& buffer, Ownership) override { return index_of(buffer.number()); }
  std::uint32_t attach_descriptor(FileDescriptor& descriptor, Ownership) override {
    return index_of(descriptor.get() - kFirstDescriptor + 1);
  }
  std::uint32_t attach_view(const BufferView& view) override { return index_of(view.number()); }
};

template <class T>
testing::Message post(T&& value, std::vector<MessagePort*> listed = {}, bool trusted = true) {
  InputSink sink(trusted, std::move(listed));
  encode(std::forward<T>(value), sink);
  return {format_of<std::remove_cvref_t<T>>(), sink.payload(), sink.detach()};
}

class InputSource final : public Source {
 public:
  InputSource(std::span<const std::byte> payload, Format format, bool trusted)
      : Source(payload.data(), payload.size(), format, trusted) {}

 private:
  void lend_port(std::uint32_t index, MessagePort& into) override {
    take(ports_, index);
    into = MessagePort(static_cast<int>(index) + 1);
  }
  void lend_buffer(std::uint32_t index, SharedBuffer& into) override {
    take(buffers_, index);
    into = SharedBuffer(static_cast<int>(index) + 1);
  }
  void lend_descriptor(std::uint32_t index, FileDescriptor& into) override {
    take(descriptors_, index);
    into.reset(kFirstDescriptor + static_cast<int>(index));
  }
  void lend_view(std::uint32_t index, BufferView& into) override {
    if (index >= kPorts) throw DataCloneError("no such view");
    into = BufferView(static_cast<int>(index) + 1);
  }

  using Taken = std::array<bool, kPorts>;
  static void take(Taken& taken, std::uint32_t index) {
    if (index >= kPorts || std::exchange(taken[index], true)) throw DataCloneError("no such transferable");
  }

  Taken ports_{}, buffers_{}, descriptors_{};
};

// Called with every value that was read. A type whose values may own themselves has an overload that takes
// them apart.
template <class T>
void untie(T&) {}

template <class T>
void read_body(Source& source, T& value) {
  try {
    ValueReader::read_whole(source, value);
  } catch (const DataCloneError&) {
    throw;
  } catch (const std::exception&) {
    refuse_current_exception();
  }
}

// Which ports there are in a value; specialised for types that may have some.
template <class T>
struct PortsIn {
  static constexpr bool kMayHaveSome = false;
  static std::vector<MessagePort*> list(T&) { return {}; }
};

// What was read can be written, what is written can be read, and is then written in as many bytes: not always
// in the same order.
template <class T>
void write_and_read_again(T& value, bool trusted) {
  testing::Message first;
  try {
    first = post(value, PortsIn<T>::list(value), trusted);
  } catch (const DataCloneError&) {
    return;  // a port that an older version does not have
  }
  T again{};
  InputSource source({first.payload.data(), first.payload.size()}, first.format, trusted);
  again = decode<T>(source);
  if constexpr (!PortsIn<T>::kMayHaveSome)  // those of `value` are detached now
    FUZZ_HOLDS(post(again, {}, trusted).payload.size() == first.payload.size());
  untie(again);
}

template <class T>
bool read_as(std::span<const std::byte> payload, bool whole, bool trusted) {
  InputSource source(payload, format_of<T>(), trusted);
  try {
    T value{};
    if constexpr (format_of<T>() == Format::value) {
      if (whole) {
        value = decode<T>(source);
      } else {
        read_body(source, value);
      }
    } else {
      value = decode<T>(source);
    }
    write_and_read_again(value, trusted);
    untie(value);
    return true;
  } catch (const DataCloneError&) {
    return false;
  }
}

template <class... T>
struct TypeList {
  static constexpr std::size_t kSize = sizeof...(T);

  static bool read(std::span<const std::byte> input, bool trusted) {
    if (input.empty()) return false;
    const auto first = std::to_integer<unsigned>(input[0]);
    constexpr std::array<bool (*)(std::span<const std::byte>, bool, bool), kSize> kReaders{read_as<T>...};
    return kReaders[(first & ~kWholeMessage) % kSize](input.subspan(1), (first & kWholeMessage) != 0,
                                                      trusted);
  }

  // Each value twice: as a whole message, and without its head.
  static std::vector<Input> seeds(T... value, bool trusted) {
    std::vector<Input> inputs;
    unsigned number = 0;
    (add_seed(inputs, number++, std::move(value), trusted), ...);
    return inputs;
  }

 private:
  template <class Type>
  static void add_seed(std::vector<Input>& inputs, unsigned number, Type value, bool trusted) {
    std::vector<std::byte> payload;
    try {
      payload = post(std::move(value), {}, trusted).payload;
    } catch (const DataCloneError&) {
      return;  // not to a foreign peer
    }
    Input whole(1, static_cast<std::byte>(number | kWholeMessage));
    whole.insert(whole.end(), payload.begin(), payload.end());
    inputs.push_back(std::move(whole));
    if (format_of<Type>() != Format::value) return;
    Input body(1, static_cast<std::byte>(number));
    body.insert(body.end(), payload.begin() + kValueHeadBytes, payload.end());
    inputs.push_back(std::move(body));
  }
};

}  // namespace portolan::fuzz
