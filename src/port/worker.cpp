// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <csignal>
#include <string_view>

#include <portolan/error.hpp>
#include <portolan/message_channel.hpp>
#include <portolan/worker.hpp>

#include "os/process.hpp"
#include "port/departure.hpp"
#include "port/fork_guard.hpp"
#include "port/inheritance_variable.hpp"
#include "port/ward.hpp"

namespace portolan::port {

class WorkerState {
 public:
  WorkerState(const std::string& program, std::vector<std::string> arguments, WorkerOptions& options);
  WorkerState(const WorkerState&) = delete;
  WorkerState& operator=(const WorkerState&) = delete;
  ~WorkerState();

  MessagePort port;
  const std::shared_ptr<Ward> ward = std::make_shared<Ward>();
  bool detached = false;

 private:
  std::chrono::nanoseconds grace_;
};

namespace {

constexpr std::int64_t kUntilItEnds = -1;

// This process's, with the options' additions, and the ports.
std::vector<std::string> make_environment(const std::string& call, const WorkerOptions& options,
                                          std::string ports) {
  std::vector<std::string> environment = os::current_environment();
  std::erase_if(environment, [&](const std::string& each) {
    const std::string name = each.substr(0, each.find('='));
    return name == kInheritanceVariable || options.environment.contains(name);
  });
  for (const auto& [name, value] : options.environment) {
    if (name.empty() || name.find('=') != std::string::npos || name == kInheritanceVariable) {
      throw PortError(std::make_error_code(std::errc::invalid_argument),
                      call + ": \"" + name + "\" cannot be set in its environment; use another name");
    }
    environment.push_back(name + '=' + value);
  }
  environment.push_back(std::move(ports));
  return environment;
}

}  // namespace

WorkerState::WorkerState(const std::string& program, std::vector<std::string> arguments,
                         WorkerOptions& options)
    : grace_(options.grace) {
  const std::string call = "Worker(\"" + program + "\")";
  claim_inheritance();
  Ward::reap_released();
  if (options.ports.contains(kParentName)) {
    throw PortError(
        std::make_error_code(std::errc::invalid_argument),
        call + ": \"parent\" is the name of the worker's port to here; give the other port another name");
  }
  MessageChannel channel({.label = "worker " + program});
  Departure departure(call);
  departure.add(channel.port2, kParentName);
  departure.add(options.ports);
  os::SpawnRequest request{program, std::move(arguments),
                           make_environment(call, options, departure.variable()), options.directory,
                           departure.inherited()};
  request.call = "Worker";
  {
    // A child forked meanwhile would keep the duplicates that the spawn works with.
    const NoForks no_forks;
    ward->begin(os::spawn(request));
  }
  departure.commit();
  options.ports.clear();
  port = std::move(channel.port1);
  try {
    ward->watch();
  } catch (...) {
    // The process is there, and has its ports; on_exit() tries again, and says so.
  }
}

WorkerState::~WorkerState() {
  port = MessagePort();
  if (ward->inherited()) return;
  if (detached) {
    ward->release();
  } else {
    ward->unwatch();
    if (!ward->wait(std::max<std::int64_t>(grace_.count(), 0))) {
      ward->signal(SIGKILL);
      static_cast<void>(ward->wait(kUntilItEnds));
    }
  }
  Ward::reap_released();
}

}  // namespace portolan::port

namespace portolan {
inline namespace v1 {

Worker::Worker() noexcept = default;
Worker::Worker(Worker&& other) noexcept = default;
Worker& Worker::operator=(Worker&& other) noexcept = default;
Worker::~Worker() = default;

Worker::Worker(std::string program, std::vector<std::string> arguments, WorkerOptions&& options)
    : state_(std::make_unique<port::WorkerState>(program, std::move(arguments), options)) {}

Worker::Worker(std::string program, std::vector<std::string> arguments, WorkerOptions&& options,
               std::error_code& error) {
  error.clear();
  try {
    state_ = std::make_unique<port::WorkerState>(program, std::move(arguments), options);
  } catch (const PortError& refusal) {
    error = refusal.code();
  }
}

port::WorkerState& Worker::state() const {
  if (!state_)
    throw InvalidStateError("Worker: it is empty, or was moved from; use the one that was started");
  if (state_->ward->inherited())
    throw InvalidStateError(
        "Worker: it was started by the process that this one was forked from; start another one");
  return *state_;
}

MessagePort& Worker::port() {
  return state().port;
}

void Worker::set_exit_handler(Callback<void(ExitStatus)> handler) {
  port::Ward& ward = *state().ward;
  ward.watch();
  ward.set_exit_handler(std::move(handler));
}

int Worker::pid() const noexcept {
  return state_ ? state_->ward->pid() : -1;
}

ExitStatus Worker::wait() {
  return *state().ward->wait(port::kUntilItEnds);
}

std::optional<ExitStatus> Worker::wait_for(std::chrono::nanoseconds patience) {
  return state().ward->wait(std::max<std::int64_t>(patience.count(), 0));
}

void Worker::terminate() {
  state().ward->signal(SIGTERM);
}

void Worker::detach() {
  state().detached = true;
  state_->ward->set_ref(false);
}

void Worker::ref() {
  port().ref();
  state_->ward->set_ref(!state_->detached);
}

void Worker::unref() {
  port().unref();
  state_->ward->set_ref(false);
}

}  // namespace v1
}  // namespace portolan
