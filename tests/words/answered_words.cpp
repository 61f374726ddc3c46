// SPDX-License-Identifier: Apache-2.0

#include "words/answered_words.hpp"

#include <cstring>

#include "words/watched_words.hpp"

namespace portolan::testing {
namespace {

AnsweredWords* present = nullptr;

}  // namespace

AnsweredWords::AnsweredWords(std::span<const std::byte> control, std::span<const std::byte> shared)
    : control_(control), shared_(shared), last_loaded_by_(control.size() / kGrain) {
  present = this;
}

AnsweredWords::~AnsweredWords() {
  present = nullptr;
}

bool AnsweredWords::lie(std::uint32_t loads, std::uint64_t value) noexcept {
  if (lie_count_ == lies_.size()) return false;
  lies_[lie_count_++] = {all_loads_ + loads, value};
  return true;
}

void AnsweredWords::begin_operation() noexcept {
  ++operation_;
  loads_ = 0;
  control_words_loaded_again_ = 0;
}

bool AnsweredWords::told(std::uint64_t& value) noexcept {
  for (std::size_t i = 0; i < lie_count_; ++i) {
    if (lies_[i].at_load != all_loads_) continue;
    value = lies_[i].value;
    lies_[i] = lies_[--lie_count_];
    return true;
  }
  return false;
}

std::uint64_t AnsweredWords::answer(const void* place, std::size_t bytes) noexcept {
  const auto at = static_cast<std::size_t>(static_cast<const std::byte*>(place) - control_.data());
  if (at < control_.size()) {
    std::uint32_t& last = last_loaded_by_[at / kGrain];
    control_words_loaded_again_ += last == operation_;
    last = operation_;
  }
  std::uint64_t value = 0;
  std::memcpy(&value, place, bytes);
  ++loads_;
  ++all_loads_;
  if (lie_count_ != 0) told(value);
  return value;
}

// Out of shared memory by words; what goes into it is the victim's own.
void AnsweredWords::copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  if (from < shared_.data() || from >= shared_.data() + shared_.size()) {
    std::memcpy(to, from, bytes);
    return;
  }
  for (std::size_t done = 0; done < bytes; done += sizeof(std::uint64_t)) {
    const std::size_t part = bytes - done < sizeof(std::uint64_t) ? bytes - done : sizeof(std::uint64_t);
    const std::uint64_t value = answer(from + done, part);
    std::memcpy(to + done, &value, part);
  }
}

}  // namespace portolan::testing

namespace portolan::testing::words {

std::uint64_t load(const void* place, std::size_t bytes, std::memory_order, Site) noexcept {
  if (present != nullptr) return present->answer(place, bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, place, bytes);
  return value;
}

void store(void* place, std::size_t bytes, std::uint64_t value, std::memory_order, Site) noexcept {
  std::memcpy(place, &value, bytes);
}

void fence(std::memory_order, Site) noexcept {}

void copy(void* to, const void* from, std::size_t bytes, Site) noexcept {
  if (present == nullptr) {
    std::memcpy(to, from, bytes);
    return;
  }
  present->copy(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes);
}

}  // namespace portolan::testing::words
