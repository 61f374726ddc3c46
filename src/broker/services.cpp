// SPDX-License-Identifier: Apache-2.0

#include "broker/services.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <portolan/error.hpp>

#include "broker/text_lines.hpp"
#include "os/pause.hpp"

namespace portolan::broker {

namespace {

constexpr std::string_view kSuffix = ".service";
constexpr std::uint64_t kFirstDelayNs = 100'000'000;
constexpr std::uint32_t kMostFruitless = 5;
constexpr std::uint32_t kMostDoublings = 6;
constexpr std::int64_t kLongEnoughNs = 10'000'000'000;

std::string_view trimmed(std::string_view text) {
  const auto words = words_of(text);
  if (words.empty()) return {};
  const auto begin = static_cast<std::size_t>(words.front().data() - text.data());
  const auto end = static_cast<std::size_t>(words.back().data() + words.back().size() - text.data());
  return text.substr(begin, end - begin);
}

std::string text_of(const std::optional<os::ProcessEnd>& end) {
  if (!end) return "it runs on";
  switch (end->kind) {
    case os::ProcessEnd::Kind::exited:
      return "exit status " + std::to_string(end->value);
    case os::ProcessEnd::Kind::killed:
      return "signal " + std::to_string(end->value);
    case os::ProcessEnd::Kind::unknown:
      break;
  }
  return "an end that nobody saw";
}

}  // namespace

ServiceFile ServiceFile::parse(std::string_view text, const std::string& file) {
  ServiceFile service;
  for_each_line(text, [&](std::size_t number, std::string_view line) {
    const std::string where = file + ":" + std::to_string(number);
    if (trimmed(line).empty()) return;
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) refuse_text(where, "a line is `key = value`");
    const std::string key(trimmed(line.substr(0, equals)));
    const std::string value(trimmed(line.substr(equals + 1)));
    if (value.empty()) refuse_text(where, "\"" + key + "\" has no value");
    if (key == "command") {
      service.command.clear();
      for (const std::string_view word : words_of(value)) service.command.emplace_back(word);
    } else if (key == "user") {
      service.user = value;
    } else if (key == "environment" || key == "limit") {
      if (value.find('=') == std::string::npos) refuse_text(where, "\"" + key + "\" takes NAME=VALUE");
      (key == "limit" ? service.limits : service.environment).push_back(value);
    } else {
      refuse_text(where, "\"" + key + "\" is no key; there are command, user, environment and limit");
    }
  });
  if (service.command.empty()) refuse_text(file, "there is no `command = PROGRAM ...`");
  return service;
}

std::vector<std::string> ServiceFile::command_line() const {
  std::vector<std::string> line;
  if (!limits.empty()) {
    line.emplace_back("prlimit");
    for (const std::string& limit : limits) line.push_back("--" + limit);
  }
  if (!user.empty())
    for (const std::string& word : {std::string("setpriv"), "--reuid=" + user, "--regid=" + user,
                                    std::string("--init-groups"), std::string("--")})
      line.push_back(word);
  line.insert(line.end(), command.begin(), command.end());
  return line;
}

Services::Services(Office& office, Names& names, Needed needed, std::string directory, std::string socket)
    : office_(office),
      names_(names),
      needed_(std::move(needed)),
      directory_(std::move(directory)),
      socket_(std::move(socket)) {
  read_files();
}

void Services::read_files() {
  if (directory_.empty()) return;
  std::map<std::string, ServiceFile> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(kSuffix)) continue;
    const std::string name = file.substr(0, file.size() - kSuffix.size());
    if (!wire::is_registered_name(name))
      refuse_text(entry.path().string(), "\"" + name + "\" is no name; use letters, digits and ._-");
    files.emplace(name, ServiceFile::parse(read_configuration(entry.path().string()), entry.path().string()));
  }
  if (error) throw PortError(error, directory_ + ": " + error.message() + "; make it, or start without it");
  // Those that run go on, and are what their files say from their next start on.
  for (auto service = services_.begin(); service != services_.end();) {
    const bool gone = !files.contains(service->first) && !service->second.process.pidfd;
    if (gone) office_.cancel(service->second.again);
    service = gone ? services_.erase(service) : std::next(service);
  }
  for (auto& [name, file] : files) {
    Service& service = services_[name];
    service.file = std::move(file);
    if (service.id == 0) service.id = ++last_id_;
  }
}

void Services::want(const std::string& name) {
  const auto found = services_.find(name);
  if (found == services_.end() || found->second.process.pidfd || found->second.again != TimerId::none) return;
  start(name, found->second);
}

void Services::start(const std::string& name, Service& service) {
  service.started_ns = os::monotonic_ns();
  std::vector<std::string> line = service.file.command_line();
  os::SpawnRequest request;
  request.program = line.front();
  request.arguments.assign(line.begin() + 1, line.end());
  request.environment = os::current_environment();
  std::erase_if(request.environment, [](const std::string& each) {
    // What systemd has told the broker is not meant for its services.
    return each.starts_with("PORTOLAN_") || each.starts_with("NOTIFY_SOCKET=") ||
           each.starts_with("LISTEN_") || each.starts_with("WATCHDOG_");
  });
  request.environment.push_back("PORTOLAN_SOCKET=" + socket_);
  for (const std::string& each : service.file.environment) request.environment.push_back(each);
  try {
    service.process = os::spawn(request);
  } catch (const PortError& refusal) {
    return try_again(name, service, refusal.what());
  }
  office_.log.say(LogLevel::info, "service_started",
                  "name=" + name + " pid=" + std::to_string(service.process.pid));
  if (office_.epoll.add(service.process.pidfd.get(), os::kReadable, tag_of(Tag::service, service.id)))
    office_.log.say(LogLevel::error, "service_unwatched", "name=" + name);
}

void Services::registered(const std::string& name) noexcept {
  if (const auto found = services_.find(name); found != services_.end()) found->second.fruitless = 0;
}

void Services::ended(std::uint64_t id) {
  for (auto& [name, service] : services_) {
    if (service.id != id || !service.process.pidfd) continue;
    office_.epoll.remove(service.process.pidfd.get());
    const std::string why = text_of(os::wait_for_end(service.process.pidfd.get(), 0));
    service.process = {};
    if (os::monotonic_ns() - service.started_ns >= kLongEnoughNs) service.failures = 0;
    office_.log.say(LogLevel::info, "service_ended", "name=" + name + " why=\"" + why + "\"");
    if (needed_(name)) try_again(name, service, why);
    return;
  }
}

// Later each time; who waits is told when it is no use.
void Services::try_again(const std::string& name, Service& service, const std::string& why) {
  ++service.failures;
  office_.log.say(LogLevel::warning, "service_failed",
                  "name=" + name + " times=" + std::to_string(service.failures) + " why=\"" + why + "\"");
  if (++service.fruitless >= kMostFruitless) {
    service.failures = service.fruitless = 0;
    return names_.give_up(name, "its service was started " + std::to_string(kMostFruitless) +
                                    " times and did not register it (" + why + "); look at portoland's log");
  }
  service.again =
      office_.after(kFirstDelayNs << std::min(service.failures - 1, kMostDoublings), [this, name] {
        const auto found = services_.find(name);
        if (found == services_.end()) return;
        found->second.again = TimerId::none;
        if (needed_(name)) start(name, found->second);
      });
}

}  // namespace portolan::broker
