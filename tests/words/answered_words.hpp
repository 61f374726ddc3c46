// SPDX-License-Identifier: Apache-2.0

// Answers every load of shared words, at times with a lie, and counts which control words an operation has
// loaded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace portolan::testing {

// While it lives, all loads are its own; one at a time.
class AnsweredWords {
 public:
  // `control` is the part of the shared memory in which a word is loaded once an operation.
  AnsweredWords(std::span<const std::byte> control, std::span<const std::byte> shared);
  AnsweredWords(const AnsweredWords&) = delete;
  AnsweredWords& operator=(const AnsweredWords&) = delete;
  ~AnsweredWords();

  // The load after `loads` more of them finds `value`, whatever is there. False: enough lies wait already.
  bool lie(std::uint32_t loads, std::uint64_t value) noexcept;

  void begin_operation() noexcept;
  // Since then: all loads, and those of a control word that had been loaded already.
  std::uint64_t loads() const noexcept { return loads_; }
  std::uint64_t control_words_loaded_again() const noexcept { return control_words_loaded_again_; }

  std::uint64_t answer(const void* place, std::size_t bytes) noexcept;
  void copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept;

 private:
  struct Lie {
    std::uint64_t at_load;
    std::uint64_t value;
  };
  static constexpr std::size_t kGrain = 4;  // the shortest word

  bool told(std::uint64_t& value) noexcept;

  std::span<const std::byte> control_;
  std::span<const std::byte> shared_;
  std::vector<std::uint32_t> last_loaded_by_;  // the operation, for each place
  std::uint32_t operation_ = 0;
  std::uint64_t all_loads_ = 0;
  std::uint64_t loads_ = 0;
  std::uint64_t control_words_loaded_again_ = 0;
  std::array<Lie, 4> lies_{};
  std::size_t lie_count_ = 0;
};

}  // namespace portolan::testing
