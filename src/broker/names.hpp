// SPDX-License-Identifier: Apache-2.0

// The names that programs have registered, who waits for one, and who watches them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "broker/office.hpp"

namespace portolan::broker {

class Names {
 public:
  /// Somebody asks for a name that nobody has: perhaps it can be started.
  using Wanted = Callback<void(const std::string& name)>;
  /// Somebody has it now.
  using Enlisted = Callback<void(const std::string& name)>;
  Names(Office& office, Wanted wanted, Enlisted enlisted);

  void enlist(Connection& from, const wire::NamePacket& request);
  void withdraw(Connection& from, const wire::NamePacket& request);
  void resolve(Connection& from, const wire::NamePacket& request);
  void introduce(Connection& from, const wire::NamePacket& request, std::vector<FileDescriptor> descriptors);
  void watch(Connection& from, const wire::NamePacket& request);
  void list(Connection& from, const wire::NamePacket& request);
  /// The connection is gone: its names are, and what it waited for.
  void forget(Connection& connection) noexcept;
  /// Whoever waits for the name is told that it will not come.
  void give_up(const std::string& name, const std::string& why);

  [[nodiscard]] bool has_owner(const std::string& name) const noexcept;
  /// Whether somebody waits for it.
  [[nodiscard]] bool is_wanted(const std::string& name) const noexcept { return waiting_.contains(name); }
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::size_t waiting() const noexcept;

 private:
  struct Name {
    std::uint64_t owner = 0;  // a connection; 0: it had one, and somebody watches
    std::uint64_t generation = 0;
    std::int64_t since_ns = 0;
  };
  struct Waiting {
    std::uint64_t connection;
    wire::NamePacket request;
    TimerId deadline;
  };

  [[nodiscard]] wire::NamePacket about(wire::NameKind kind, const std::string& name, const Name& which);
  void wake(const std::string& name, const Name& which);
  void stop_waiting(const std::string& name, std::uint64_t connection, std::uint32_t number);
  void lose(const std::string& name, Name& which) noexcept;
  void tell_watchers(wire::NameNews news, const std::string& name, const Name& which);
  [[nodiscard]] bool watched(const std::string& name) const noexcept;

  Office& office_;
  Wanted wanted_;
  Enlisted enlisted_;
  std::uint64_t last_generation_;
  std::map<std::string, Name> names_;
  std::map<std::string, std::vector<Waiting>> waiting_;
};

}  // namespace portolan::broker
