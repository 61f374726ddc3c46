// SPDX-License-Identifier: Apache-2.0

// Services that are started when somebody wants their name. A file NAME.service has lines of `key = value`:
//   command = /usr/bin/render --fast      the program and its arguments, one word each
//   user = render                         as whom; needs a broker that runs as root
//   environment = LEVEL=3                 any number of them
//   limit = nofile=4096                   any number, as prlimit(1) names them
// Ready is who has registered the name. One that ends while it is needed is started again, later each time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "broker/names.hpp"
#include "broker/office.hpp"
#include "os/process.hpp"

namespace portolan::broker {

struct ServiceFile {
  std::vector<std::string> command;
  std::string user;
  std::vector<std::string> environment;
  std::vector<std::string> limits;

  /// Throws PortError with `FILE:LINE: what is wrong`.
  static ServiceFile parse(std::string_view text, const std::string& file);
  /// With setpriv(1) and prlimit(1) in front where they are needed.
  [[nodiscard]] std::vector<std::string> command_line() const;
};

class Services {
 public:
  /// `socket` is what its programs find in PORTOLAN_SOCKET.
  /// `needed` says whether somebody waits for a name, or ports wait in custody for whoever has it.
  using Needed = Callback<bool(const std::string& name)>;
  Services(Office& office, Names& names, Needed needed, std::string directory, std::string socket);

  /// Throws PortError for a mistake in a file; then everything stays as it was.
  void read_files();
  /// Somebody waits for the name.
  void want(const std::string& name);
  /// Somebody has registered the name.
  void registered(const std::string& name) noexcept;
  /// The pidfd of one of them is readable.
  void ended(std::uint64_t id);

  [[nodiscard]] std::size_t size() const noexcept { return services_.size(); }

 private:
  struct Service {
    ServiceFile file;
    std::uint64_t id = 0;
    os::SpawnedProcess process;  // no pidfd: it does not run
    std::int64_t started_ns = 0;
    std::uint32_t failures = 0;   // short lives in a row: each is followed by a longer pause
    std::uint32_t fruitless = 0;  // those of them in a row that did not register the name
    TimerId again = TimerId::none;
  };

  void start(const std::string& name, Service& service);
  void try_again(const std::string& name, Service& service, const std::string& why);

  Office& office_;
  Names& names_;
  Needed needed_;
  std::string directory_;
  std::string socket_;
  std::map<std::string, Service> services_;
  std::uint64_t last_id_ = 0;
};

}  // namespace portolan::broker
