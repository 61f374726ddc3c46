// SPDX-License-Identifier: Apache-2.0

// Brings workers and collector together: makes the streams, hands every end to the process that needs it, and
// exits.

#include <fmt/format.h>
#include <map>

#include <portolan/portolan.hpp>

#include "diary.hpp"
#include "roles.hpp"

namespace demo {

namespace {

using Ports = std::map<std::string, portolan::MessagePort>;

portolan::MessagePort take(Ports& ports, const std::string& name) {
  return std::move(ports.extract(name).mapped());
}

void give(Diary& diary, Ports& ports, const std::string& name, const std::string& as,
          portolan::MessagePort port) {
  diary.note("gave", name, port);
  ports.emplace(as, std::move(port));
}

// The worker lives on without this process, and so does every port that it was given.
void start(const std::string& role, const std::string& name, Ports ports) {
  portolan::Worker worker("/proc/self/exe", {"--role", role},
                          {.environment = {{"DEMO_PROCESS", name}}, .ports = std::move(ports)});
  worker.detach();
}

}  // namespace

int coordinate() {
  Ports mine = portolan::inherited_ports();
  Diary diary(take(mine, "log"), "coordinator");
  diary.note("starts");
  Ports for_collector;
  for (int i = 1; i <= kWorkers; ++i) {
    const std::string stream = fmt::format("stream {}", i);
    // Small on purpose: a sender that is faster than the collector has to wait.
    portolan::MessageChannel channel({.limit_bytes = 1 << 20, .label = stream});
    diary.note("made", stream, channel.port1);
    Ports for_worker;
    for_worker.emplace("log", take(mine, fmt::format("log-worker-{}", i)));
    for_worker.emplace("start", take(mine, fmt::format("start-{}", i)));
    give(diary, for_worker, stream + ", sending end", "stream", std::move(channel.port1));
    start("worker", fmt::format("worker {}", i), std::move(for_worker));
    give(diary, for_collector, stream + ", receiving end", fmt::format("stream-{}", i),
         std::move(channel.port2));
  }
  for_collector.emplace("log", take(mine, "log-collector"));
  start("collector", "collector", std::move(for_collector));
  diary.note("exits");
  return 0;
}

}  // namespace demo
