// SPDX-License-Identifier: Apache-2.0

// Where a ring gets its blocks' memory from. The ring itself makes no system call: whoever owns the
// descriptors maps the blocks at the first use and makes sure that they exist before they are written.
#pragma once

#include <cstddef>

#include "ring/frame.hpp"

namespace portolan::ring {

class BlockStore {
 public:
  // Maps the direction's blocks if they are not mapped yet. The address of block 0, or null when the kernel
  // refuses.
  virtual std::byte* map_blocks() noexcept = 0;
  // Gives `run` its pages, so that shortage is an error here and not SIGBUS later.
  virtual bool allocate(Run run) noexcept = 0;

 protected:
  ~BlockStore() = default;
};

}  // namespace portolan::ring
