// SPDX-License-Identifier: Apache-2.0

// The waker's side of a sleep line: docs/ring-protocol.md, "Sleeping and waking". Only the sleeper ever
// writes its word, so no wake-up is erased: the waker remembers privately which word it has already answered.
#pragma once

#include <cstdint>

#include <portolan/lane/shared_word.hpp>

namespace portolan {
inline namespace v1 {
namespace lane {

/// One thread at a time.
class Waker {
 public:
  Waker(const SharedWord<std::uint64_t>& word, const SharedWord<std::uint64_t>& at) noexcept
      : word_(&word), at_(&at) {}

  /// After a publication. False: the sleeper is awake, or rung already for this epoch.
  [[nodiscard]] bool has_news() const noexcept {
    // [S5] seq_cst fence; pairs with [S9], [L3]: needed until the sleeper says that it fences for both. Its
    // barrier orders processors, and the compiler has to be kept from looking before it publishes.
    if (fences_) [[unlikely]]
      lane::atomic_thread_fence(std::memory_order_seq_cst);
    else
      lane::atomic_signal_fence(std::memory_order_seq_cst);  // [S5]
    // [S2] relaxed; pairs with [S1]: a stale word costs nothing, since its sleeper looks again behind its
    // barrier.
    return word_->load(std::memory_order_relaxed) != answered_;
  }
  /// The word, once; then answered() with it if the sleeper is awake or has been rung.
  [[nodiscard]] std::uint64_t word() const noexcept {
    // [S8] acquire; pairs with [S1]: `at` belongs to this word or to a later one.
    return word_->load(std::memory_order_acquire);
  }
  void answered(std::uint64_t word) noexcept { answered_ = word; }
  /// Where the sleeper looks. The peer's word: check it.
  [[nodiscard]] std::uint64_t at() const noexcept {
    // [S6] relaxed; pairs with [S3]: a stale place costs a wake that the sleeper's time-out makes up for.
    return at_->load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool fences() const noexcept { return fences_; }
  [[nodiscard]] bool has_answered(std::uint64_t word) const noexcept { return word == answered_; }
  [[nodiscard]] bool never_answered() const noexcept { return answered_ == ~std::uint64_t{0}; }
  void set_fences(bool fences) noexcept { fences_ = fences; }

 private:
  const SharedWord<std::uint64_t>* word_;
  const SharedWord<std::uint64_t>* at_;
  std::uint64_t answered_ = ~std::uint64_t{0};  // no word has all bits: a new owner looks once
  bool fences_ = true;
};

}  // namespace lane
}  // namespace v1
}  // namespace portolan
