// SPDX-License-Identifier: Apache-2.0

// Shared words that follow the memory model of the language: a load may find any store that it allows, and
// bytes that are read while they may still be written are a data race. Relacy does both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>

// Behind all others of the standard library: it redefines words of the language.
#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

#include "memory_model/site_ids.hpp"
#include "words/watched_words.hpp"

namespace portolan::testing {

// What is the same in all runs of a program: the sources, and whose order is left out.
struct Plan {
  SiteIds ids;
  std::string weakened;             // an id; empty: none
  std::set<std::string> exercised;  // ids that were come by
};

// Of one execution. Made by the thread that makes the ring, before the others begin; all accesses go to the
// last one made.
class ModelledWords {
 public:
  // `zero`: a direction's lines, which are 0 at the start. Other words are nothing until they are stored.
  ModelledWords(Plan& plan, std::span<const std::byte> zero, std::span<const std::byte> shared);
  ModelledWords(const ModelledWords&) = delete;
  ModelledWords& operator=(const ModelledWords&) = delete;
  ~ModelledWords();

  static ModelledWords& present();

  std::uint64_t load(const void* place, std::memory_order order, words::Site site);
  void store(void* place, std::uint64_t value, std::memory_order order, words::Site site);
  void fence(std::memory_order order, words::Site site);
  void copy(std::byte* to, const std::byte* from, std::size_t bytes, words::Site site);

 private:
  using Word = rl::atomic<std::uint64_t>;
  using Bytes = rl::var<std::uint64_t>;

  bool weakened(words::Site site);
  rl::memory_order order_of(std::memory_order order, words::Site site);

  Plan& plan_;
  std::span<const std::byte> zero_;
  std::span<const std::byte> shared_;
  std::map<const void*, std::unique_ptr<Word>> words_;
  std::map<const void*, std::unique_ptr<Bytes>> bytes_;  // eight each
};

}  // namespace portolan::testing
