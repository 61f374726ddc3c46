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

#include <portolan/values.hpp>

#include "fuzz/target.hpp"
#include "values/memory_message.hpp"

namespace portolan::fuzz {

inline constexpr unsigned kWholeMessage = 0x80;
inline constexpr std::size_t kPorts = 3;

class InputSource final : public Source {
 public:
  InputSource(std::span<const std::byte> payload, Format format, bool trusted)
      : Source(payload.data(), payload.size(), format, trusted) {}

 private:
  void lend_port(std::uint32_t index, MessagePort& into) override {
    if (index >= kPorts || taken_[index]) throw DataCloneError("no such port");
    taken_[index] = true;
    into = MessagePort(static_cast<int>(index) + 1);
  }

  std::array<bool, kPorts> taken_{};
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

// What was read can be written, what is written can be read, and is then written in as many bytes: not always
// in the same order.
template <class T>
void write_and_read_again(T& value, bool trusted) {
  using testing::Message, testing::post;
  const auto written = [trusted](T& what) { return post(what, {}, trusted); };
  Message first;
  try {
    if constexpr (requires { ports_of(value); }) {
      first = post(value, ports_of(value), trusted);
    } else {
      first = written(value);
    }
  } catch (const DataCloneError&) {
    return;  // a port that an older version does not have
  }
  T again{};
  InputSource source({first.payload.data(), first.payload.size()}, first.format, trusted);
  again = decode<T>(source);
  if constexpr (!requires { ports_of(value); })
    FUZZ_HOLDS(written(again).payload.size() == first.payload.size());
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
      payload = testing::post(std::move(value), {}, trusted).payload;
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
