// SPDX-License-Identifier: Apache-2.0

// portoland: the broker of src/broker, in the foreground, until SIGTERM.
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fmt/format.h>
#include <poll.h>
#include <string>
#include <sys/signalfd.h>
#include <unistd.h>

#include <portolan/broker.hpp>
#include <portolan/error.hpp>

#include "arguments.hpp"
#include "confinement.hpp"
#include "log_lines.hpp"
#include "supervisor.hpp"

namespace {

using namespace portolan;
using namespace portolan::daemon;

constexpr int kMisused = 64;  // EX_USAGE

std::string place_of_socket(const Arguments& arguments) {
  if (!arguments.socket.empty()) return arguments.socket;
  if (arguments.system) return "/run/portolan.sock";
  const char* const directory = std::getenv("XDG_RUNTIME_DIR");
  if (directory == nullptr || *directory == '\0')
    throw PortError(
        std::make_error_code(std::errc::invalid_argument),
        "portoland: there is no XDG_RUNTIME_DIR in the environment; say --system or --socket PATH");
  return std::string(directory) + "/portolan.sock";
}

// Blocked before the first thread, so that none of them takes one.
FileDescriptor signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return FileDescriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

void reload(Broker& broker) {
  notify("RELOADING=1");
  try {
    broker.reload();
  } catch (const PortError& mistake) {
    write_line(LogLevel::error, fmt::format("not_reloaded why=\"{}\"", mistake.what()));
  }
  notify("READY=1");
}

int serve(Broker& broker, const FileDescriptor& signal_source, LogLevel most) {
  for (;;) {
    pollfd waiting[] = {{broker.native_handle(), POLLIN, 0}, {signal_source.get(), POLLIN, 0}};
    static_cast<void>(::poll(waiting, 2, -1));
    signalfd_siginfo signal{};
    while (::read(signal_source.get(), &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo != SIGHUP) {
        notify("STOPPING=1");
        if (LogLevel::info <= most)
          write_line(LogLevel::info, fmt::format("stopping signal={}", signal.ssi_signo));
        return 0;
      }
      reload(broker);
    }
    broker.dispatch();
  }
}

int run(const Arguments& arguments) {
  const FileDescriptor signal_source = signals();
  const unsigned long descriptors = raise_descriptor_limit();
  BrokerOptions options;
  Passed passed = passed_descriptors();
  options.socket = passed.path.empty() ? place_of_socket(arguments) : passed.path;
  options.listening = std::move(passed.socket);
  options.restored = std::move(passed.stored);
  options.store = descriptor_store();
  options.permissions = arguments.system ? 0666 : 0600;
  options.policy_file = arguments.policy;
  if (!arguments.run_as.empty()) options.own_uid = uid_of(arguments.run_as);
  options.service_directory = arguments.services;
  options.limits = arguments.limits;
  options.log = [most = arguments.log_level](LogLevel level, std::string_view line) {
    if (level <= most) write_line(level, line);
  };
  const std::string place = options.socket;
  Broker broker(std::move(options));
  if (!arguments.run_as.empty()) become(arguments.run_as);
  // A filter would hold for the services, too.
  const bool filtered = arguments.confined && arguments.services.empty() && filter_system_calls();
  if (LogLevel::info <= arguments.log_level)
    write_line(LogLevel::info, fmt::format("listening socket={} descriptors={} uid={} filter={}", place,
                                           descriptors, ::geteuid(), filtered ? "yes" : "no"));
  notify("READY=1");
  return serve(broker, signal_source, arguments.log_level);
}

}  // namespace

int main(int count, char** words) {
  int exit_code = kMisused;
  const auto arguments = parse_arguments(count, words, exit_code);
  if (!arguments) return exit_code;
  try {
    return run(*arguments);
  } catch (const std::exception& error) {
    write_line(LogLevel::error, error.what());
    return 1;
  }
}
