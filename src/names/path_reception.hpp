// SPDX-License-Identifier: Apache-2.0

// Strangers who connect to a socket in the file system. Each sends one packet with the segment of a channel
// that it has made; the connection itself becomes that channel's socket, so that the kernel goes on knowing
// who is there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "names/reception.hpp"
#include "os/local_socket.hpp"

namespace portolan::names {

class PathReception final : public Reception {
 public:
  /// Throws PortError.
  PathReception(const Address& address, const ListenOptions& options);
  ~PathReception() override { close(); }

  std::optional<Introduction> next() override;
  void close() noexcept override;
  void disown() noexcept override;

 private:
  // Connected, and has not said anything yet.
  struct Silent {
    FileDescriptor connection;
    PeerIdentity peer;
    std::int64_t deadline_ns = 0;
  };

  void listen(unsigned permissions);
  std::optional<Introduction> accept_one();
  std::optional<Introduction> hear(std::uint64_t tag);
  enum class Heard : std::uint8_t { nothing_yet, introduction, nonsense };
  Heard receive(Silent& silent, Introduction& introduction);
  void require_room(std::size_t descriptors);
  void pause() noexcept;
  void resume() noexcept;
  void drop_overdue() noexcept;
  void drop(std::map<std::uint64_t, Silent>::iterator silent) noexcept;
  void set_timer() noexcept;

  const std::string call_;
  std::string path_;  // absolute, for when the directory is another one
  std::uint64_t inode_ = 0;
  std::int64_t patience_ns_;
  os::FileLock lock_;
  FileDescriptor listening_;
  std::map<std::uint64_t, Silent> silent_;  // by tag, the oldest first
  std::uint64_t next_tag_;
  std::int64_t paused_until_ns_ = 0;
  Refusals refusals_;
};

}  // namespace portolan::names
