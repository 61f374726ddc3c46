// SPDX-License-Identifier: Apache-2.0

// Calls into another process: many requests at once over one port, each answered by its own reply. A caller
// that can wait says get(), one in a loop says on_reply(); a reply that does not come in time is an error.
#include <chrono>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

struct Question {
  int of = 0;
  bool hard = false;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& of& hard;
  }
};

static void answer() {
  portolan::MessagePort port = portolan::parent_port();
  portolan::on_request<Question>(port, [](Question question, portolan::MessageEvent& event) {
    if (!question.hard) event.reply(question.of * question.of);  // a hard one is never answered
  });
  portolan::EventLoop::current().run();  // until the caller has closed
}

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  if (argc > 1 && argv[1] == std::string_view("--answer")) return answer(), 0;

  portolan::Worker worker("/proc/self/exe", {"--answer"});

  const int square = worker.request(Question{12}).get().data<int>();  // waits
  std::printf("12 squared is %d\n", square);

  std::vector<portolan::Reply> replies;  // under way at the same time, taken in any order
  for (int i = 1; i <= 3; ++i) replies.push_back(worker.request(Question{i}));
  int sum = 0;
  for (auto reply = replies.rbegin(); reply != replies.rend(); ++reply) sum += reply->get().data<int>();
  std::printf("1 + 4 + 9 is %d\n", sum);

  bool timed_out = false;
  portolan::Reply hard = worker.request(Question{7, true}, {.timeout = 20ms});
  hard.on_reply([](portolan::MessageEvent& event) { std::printf("no, %d?\n", event.data<int>()); },
                [&](const portolan::RequestError& error) {
                  timed_out = error.status() == portolan::ReplyStatus::timed_out;
                  worker.port().close();
                });
  portolan::EventLoop::current().run();  // a pending request keeps it going
  return square == 144 && sum == 14 && timed_out ? 0 : 1;
}
