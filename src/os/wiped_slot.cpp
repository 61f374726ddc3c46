// SPDX-License-Identifier: Apache-2.0

// Pages of slots, which are kept for good, and a list of those that nobody has. The list takes no lock, for a
// fork may come on another thread at any moment; it leaves the child the first one, whose link is wiped, and
// the rest is lost there.
#include "os/wiped_slot.hpp"

#include <atomic>
#include <cerrno>
#include <new>
#include <sys/mman.h>

#include "os/memory_file.hpp"

namespace portolan::os {
namespace {

constexpr std::size_t kLineBytes = 64;

// The link stands behind what a user gets: somebody who is late may look at it while the slot has an owner.
struct alignas(kLineBytes) Slot {
  std::byte memory[WipedSlot::kBytes];
  std::atomic<Slot*> next;  // while it is free
};
static_assert(sizeof(Slot) == kLineBytes);

// The number of a line, which in the addresses that Linux gives without being asked for more has 42 bits, and
// a count of changes, so that a list that was changed and has the same first slot again is another word.
class FirstFree {
 public:
  constexpr FirstFree() noexcept = default;
  explicit FirstFree(std::uint64_t word) noexcept : word_(word) {}
  FirstFree followed_by(const Slot* slot) const noexcept {
    const std::uint64_t line = reinterpret_cast<std::uintptr_t>(slot) / kLineBytes;
    return FirstFree{line << kCountBits | ((word_ + 1) & kCountMask)};
  }
  Slot* slot() const noexcept { return reinterpret_cast<Slot*>((word_ >> kCountBits) * kLineBytes); }

 private:
  static constexpr unsigned kCountBits = 22;
  static constexpr std::uint64_t kCountMask = (std::uint64_t{1} << kCountBits) - 1;
  std::uint64_t word_ = 0;
};

constinit std::atomic<FirstFree> first_free{};
static_assert(std::atomic<FirstFree>::is_always_lock_free);

void put_back(Slot* first, Slot* last) noexcept {
  // [K24] relaxed: the exchange says whether it is still so.
  FirstFree found = first_free.load(std::memory_order_relaxed);
  do {
    // [K25] relaxed: behind it [K26] carries it.
    last->next.store(found.slot(), std::memory_order_relaxed);
    // [K26] release/relaxed; pairs with [K27]: the link, and all that its last owner did there.
  } while (!first_free.compare_exchange_weak(found, found.followed_by(first), std::memory_order_release,
                                             std::memory_order_relaxed));
}

Slot* map_page() {
  const std::size_t bytes = page_bytes();
  void* const page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::bad_alloc();
  // Old kernels do not know it. Others refuse where the page has become part of a neighbour's mapping, and
  // the process may have no more mappings: a child's copy would take itself for the owner.
  if (::madvise(page, bytes, MADV_WIPEONFORK) != 0 && errno != EINVAL) {
    ::munmap(page, bytes);
    throw std::bad_alloc();
  }
  auto* const slots = static_cast<Slot*>(page);
  const std::size_t count = bytes / sizeof(Slot);
  for (std::size_t i = 1; i + 1 < count; ++i)
    slots[i].next.store(&slots[i + 1], std::memory_order_relaxed);  // [K25]
  put_back(&slots[1], &slots[count - 1]);
  return slots;
}

}  // namespace

void* WipedSlot::take() {
  // [K27] acquire; pairs with [K26]: the link, and that nobody uses the slot any more.
  FirstFree found = first_free.load(std::memory_order_acquire);
  for (;;) {
    Slot* const slot = found.slot();
    if (slot == nullptr) return map_page();
    // [K10] relaxed: of a slot that somebody else has taken meanwhile it may be anything, and the exchange
    // fails.
    Slot* const next = slot->next.load(std::memory_order_relaxed);
    if (first_free.compare_exchange_weak(found, found.followed_by(next), std::memory_order_acquire))  // [K27]
      return slot;
  }
}

void WipedSlot::give_back(void* memory) noexcept {
  auto* const slot = static_cast<Slot*>(memory);
  put_back(slot, slot);
}

}  // namespace portolan::os
