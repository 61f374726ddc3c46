// SPDX-License-Identifier: Apache-2.0

// A connection to portoland: packets in both directions, none of which blocks unless it says so.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <portolan/file_descriptor.hpp>

#include "wire/name_packet.hpp"

namespace portolan::names {

inline constexpr std::int64_t kAnswerNs =
    10'000'000'000;  // portoland has for an answer that waits for nobody

class DaemonLink {
 public:
  struct Arrived {
    wire::NamePacket packet;
    std::vector<FileDescriptor> descriptors;
  };
  enum class Got : std::uint8_t { packet, nothing, lost };

  /// Connects to the first place that has a socket, and says hello. ENOENT: none has.
  [[nodiscard]] std::error_code open();
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(socket_); }
  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

  /// Numbers the packet. Nobody there: broken_pipe or connection_reset.
  [[nodiscard]] std::error_code send(wire::NamePacket& packet, std::span<const int> descriptors = {});
  /// The next packet, if it is there. The kernel's shortage of descriptors loses what came, as the broker is
  /// told by no answer; what is no packet ends the link.
  [[nodiscard]] Got receive(Arrived& out);
  /// Sends, once portoland has said welcome, and waits for the answer until `deadline_ns`; `on_way` gets what
  /// comes under the same number before it. Throws PortError: refused, timed_out, connection_reset.
  wire::NamePacket call(const std::string& what, wire::NamePacket packet, std::span<const int> descriptors,
                        std::int64_t deadline_ns, std::vector<Arrived>* on_way = nullptr);

  /// Whether portoland has said so; what it refuses before is the connection.
  [[nodiscard]] bool is_welcome() const noexcept { return welcome_; }
  /// Whether it runs as this user or as root, so that it may hold ends of channels with Trust::same_user.
  [[nodiscard]] bool is_trusted() const noexcept { return trusted_; }
  /// This process's user as the daemon sees it, whose user namespace may be another one: what the uids in its
  /// packets are to be compared with. Known once it has said welcome.
  [[nodiscard]] std::uint32_t own_uid() const noexcept { return own_uid_; }
  /// Where it was found, or was looked for, for people.
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  /// Why open() has failed, and what to do.
  [[nodiscard]] std::string explain(std::error_code error) const;

 private:
  void await(std::int64_t deadline_ns) const;

  FileDescriptor socket_;
  std::string where_;
  bool trusted_ = false;
  std::uint32_t own_uid_ = 0;
  bool welcome_ = false;  // said by portoland, which takes no descriptors before
  std::uint32_t last_number_ = 0;
};

}  // namespace portolan::names
