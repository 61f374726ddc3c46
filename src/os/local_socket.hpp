// SPDX-License-Identifier: Apache-2.0

// AF_UNIX SEQPACKET sockets that have a name in the file system: listening at one, connecting to one, and who
// is at the other end of what was accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include <portolan/file_descriptor.hpp>

namespace portolan::os {

inline constexpr std::size_t kMaxSocketPathBytes = 107;  // sun_path, without its end

/// A socket bound to `path` that listens; its file has `permissions` from the first instant. Errors:
/// EADDRINUSE if there is a file of that name, whatever bind and listen refuse with.
[[nodiscard]] std::error_code listen_at(const std::string& path, unsigned permissions,
                                        FileDescriptor& out) noexcept;

/// Whether a descriptor is an AF_UNIX SEQPACKET socket that listens.
[[nodiscard]] bool listens(int socket) noexcept;

/// Connects without waiting; the socket stays non-blocking. ENOENT: no such file. ECONNREFUSED: nobody
/// listens there any more. EAGAIN: the listener's queue is full.
[[nodiscard]] std::error_code connect_to(const std::string& path, FileDescriptor& out) noexcept;

/// The next connection of a listening socket, without waiting; closed on exec. EAGAIN: there is none.
[[nodiscard]] std::error_code accept_connection(int listening, FileDescriptor& out) noexcept;

/// A pidfd of the process that made the connection, even if it has ended since. Before Linux 6.5 it is found
/// by the process's number, while the connection lives. Owns none if that fails, or there is no descriptor to
/// spare.
[[nodiscard]] FileDescriptor peer_pidfd(int socket) noexcept;

/// No descriptors come over this socket from now on: a sender gets EPERM. Needs Linux 6.16, and is a hint
/// before.
void refuse_descriptors(int socket, bool refuse) noexcept;

/// A lock on a file, made if it is not there, for as long as this lives; its end removes the file. Every
/// holder is a process of its own, or an object of its own in one.
class FileLock {
 public:
  FileLock() noexcept = default;
  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  /// EAGAIN (resource_unavailable_try_again): somebody else holds it.
  [[nodiscard]] std::error_code acquire(const std::string& path);
  /// In a forked child: closes the copy, and leaves the lock and the file to the parent.
  void disown() noexcept { file_.reset(); }

 private:
  void release() noexcept;

  std::string path_;
  FileDescriptor file_;
};

/// Removes what listened at `path` and listens no more. EADDRINUSE: it does listen; EEXIST: the file is no
/// socket.
[[nodiscard]] std::error_code remove_stale_socket(const std::string& path) noexcept;

/// The identity of the file at `path`, or 0: whether it still is the one that was made.
[[nodiscard]] std::uint64_t file_inode(const std::string& path) noexcept;
void remove_file(const std::string& path) noexcept;

}  // namespace portolan::os
