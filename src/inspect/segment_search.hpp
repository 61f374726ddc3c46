// SPDX-License-Identifier: Apache-2.0

// Finds the memory files of channels among the descriptors of other processes. It opens what is found for
// reading, maps nothing, and asks nothing of a file that only looks like one: a file system in user space
// could let the question wait for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <portolan/file_descriptor.hpp>

namespace portolan::inspect {

/// A process with descriptors of a segment that an end of the channel could be used with: those that are only
/// open for reading are onlookers', as this process's.
struct Holder {
  int pid = 0;
  std::string name;  // as in /proc/PID/comm, fit to be shown
  std::uint32_t uid = 0;
  std::vector<std::uint32_t> pids;  // as it is called in each of its pid namespaces
  std::uint32_t descriptors = 0;
};

struct FoundSegment {
  std::uint64_t inode = 0;
  std::uint64_t file_bytes = 0;
  FileDescriptor file;  // open for reading
  std::vector<Holder> holders;
};

struct Search {
  std::vector<FoundSegment>
      segments;  // memory files sealed as a segment is; what is in them was not looked at
  std::size_t unreadable_processes = 0;  // whose descriptors this user may not look at
};

/// All that this user may see.
[[nodiscard]] Search find_segments();

/// The memory that the file takes now, as the kernel counts it.
[[nodiscard]] std::uint64_t memory_bytes(const FileDescriptor& file) noexcept;

/// The parts of the file that have memory: offset and length of each, at most `most` of them.
struct Part {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};
[[nodiscard]] std::vector<Part> parts_with_memory(const FileDescriptor& file, std::size_t most);

}  // namespace portolan::inspect
