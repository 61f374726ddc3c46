// SPDX-License-Identifier: Apache-2.0

// A conversation as a coroutine, on the library's own loop: it greets, asks, waits with a time limit, and
// goes on with other work meanwhile. What a task throws goes to the loop's exception handler.
#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <portolan/coroutine.hpp>
#include <portolan/portolan.hpp>

using namespace std::chrono_literals;

static portolan::Task<> serve(portolan::MessagePort port) {
  while (portolan::Received message = co_await portolan::next_message(port)) {
    const std::string text(message->text());
    if (text == "slow") co_await portolan::sleep_for(50ms);
    if (message->is_request()) message->reply("you said " + text);
  }
}

static portolan::Task<std::string> ask(portolan::MessagePort& port, std::string question) {
  portolan::MessageEvent reply = co_await port.request(question, {.timeout = 20s});
  co_return std::string(reply.text());
}

static portolan::Task<> converse(portolan::MessagePort port, int& answers) {
  for (const char* question : {"quick", "slow"}) {
    const std::string answer = co_await ask(port, question);
    std::printf("%s\n", answer.c_str());
    ++answers;
  }
  const portolan::Received none = co_await portolan::next_message(port, {.timeout = 5ms});
  if (none.status() == portolan::ReceiveStatus::timed_out) std::printf("nothing more to say\n");
  throw std::runtime_error("what a task throws is not lost");
}

int main(int argc, char** argv) {
  portolan::EventLoop& loop = portolan::EventLoop::current();
  if (argc > 1 && argv[1] == std::string_view("--serve")) {
    portolan::spawn(serve(portolan::parent_port()));
    return loop.run(), 0;
  }

  int answers = 0, thrown = 0;
  loop.set_exception_handler([&](std::exception_ptr) { ++thrown; });
  portolan::Worker worker("/proc/self/exe", {"--serve"});
  portolan::spawn(converse(std::move(worker.port()), answers));  // the port closes with its coroutine
  loop.run();
  return answers == 2 && thrown == 1 ? 0 : 1;
}
