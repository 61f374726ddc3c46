// SPDX-License-Identifier: Apache-2.0

#include "memory_model/modelled_words.hpp"

#include <cstring>
#include <utility>

#include "ring/layout.hpp"

// Relacy replaces the operators new and delete, and is older than deletion with a size.
void operator delete(void* memory, std::size_t) noexcept {
  operator delete(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  operator delete[](memory);
}

namespace portolan::testing {
namespace {

ModelledWords* present_words = nullptr;

// Those that the scenarios come by: all but names, which are bytes, and the end of the first extent.
constexpr std::size_t kLineWords = offsetof(ring::DirectionLines, names);
constexpr std::size_t kFirstExtent = offsetof(ring::DirectionLines, first_extent);
constexpr std::size_t kFrames = 128;

bool lies_in(std::span<const std::byte> memory, const std::byte* place) {
  return place >= memory.data() && place < memory.data() + memory.size();
}

rl::debug_info about(words::Site site) {
  return {"", site.file, static_cast<unsigned>(site.line)};
}

// Relacy has the memory that is taken within an execution; what outlives one is taken outside.
class OutsideOfExecution {
 public:
  OutsideOfExecution() : context_(std::exchange(rl::context_holder<>::instance_, nullptr)) {}
  OutsideOfExecution(const OutsideOfExecution&) = delete;
  OutsideOfExecution& operator=(const OutsideOfExecution&) = delete;
  ~OutsideOfExecution() { rl::context_holder<>::instance_ = context_; }

 private:
  rl::context* context_;
};

}  // namespace

ModelledWords::ModelledWords(Plan& plan, std::span<const std::byte> zero, std::span<const std::byte> shared)
    : plan_(plan), zero_(zero), shared_(shared) {
  present_words = this;
  for (const std::span<const std::byte> part : {zero.first(kLineWords), zero.subspan(kFirstExtent, kFrames)})
    for (std::size_t at = 0; at < part.size(); at += sizeof(std::uint32_t))
      words_[part.data() + at] = std::make_unique<Word>(std::uint64_t{0});
}

ModelledWords::~ModelledWords() {
  present_words = nullptr;
}

ModelledWords& ModelledWords::present() {
  return *present_words;
}

bool ModelledWords::weakened(words::Site site) {
  const OutsideOfExecution outside;
  const std::string& id = plan_.ids.at(site);
  if (!id.empty()) plan_.exercised.insert(id);
  return !id.empty() && id == plan_.weakened;
}

rl::memory_order ModelledWords::order_of(std::memory_order order, words::Site site) {
  if (weakened(site)) return rl::mo_relaxed;
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    default:
      return rl::mo_seq_cst;
  }
}

std::uint64_t ModelledWords::load(const void* place, std::memory_order order, words::Site site) {
  std::unique_ptr<Word>& word = words_[place];
  if (!word) word = std::make_unique<Word>();  // of which a load says that nobody has stored it
  return word->load(order_of(order, site), about(site));
}

void ModelledWords::store(void* place, std::uint64_t value, std::memory_order order, words::Site site) {
  std::unique_ptr<Word>& word = words_[place];
  if (!word) word = std::make_unique<Word>();
  word->store(value, order_of(order, site), about(site));
}

void ModelledWords::fence(std::memory_order order, words::Site site) {
  if (!weakened(site) && order == std::memory_order_seq_cst)
    rl::atomic_thread_fence(rl::mo_seq_cst, about(site));
}

void ModelledWords::copy(std::byte* to, const std::byte* from, std::size_t bytes, words::Site site) {
  std::memcpy(to, from, bytes);
  const bool writes = lies_in(shared_, to);
  const std::byte* const place = writes ? to : from;
  const std::size_t before = reinterpret_cast<std::uintptr_t>(place) % sizeof(std::uint64_t);
  for (const std::byte* at = place - before; at < place + bytes; at += sizeof(std::uint64_t)) {
    std::unique_ptr<Bytes>& eight = bytes_[at];
    if (!eight && !writes && lies_in(zero_, at)) continue;  // as it was at the start
    if (!eight) eight = std::make_unique<Bytes>();
    if (writes) {
      (*eight)(about(site)).store(1);
    } else {
      static_cast<void>((*eight)(about(site)).load());
    }
  }
}

}  // namespace portolan::testing

namespace portolan::testing::words {

std::uint64_t load(const void* place, std::size_t, std::memory_order order, Site site) noexcept {
  return ModelledWords::present().load(place, order, site);
}
void store(void* place, std::size_t, std::uint64_t value, std::memory_order order, Site site) noexcept {
  ModelledWords::present().store(place, value, order, site);
}
void fence(std::memory_order order, Site site) noexcept {
  ModelledWords::present().fence(order, site);
}
void copy(void* to, const void* from, std::size_t bytes, Site site) noexcept {
  ModelledWords::present().copy(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes,
                                site);
}

}  // namespace portolan::testing::words
