// SPDX-License-Identifier: Apache-2.0

// Two channels in one program: a job goes out, and the port on which its answer is wanted travels inside it.
#include <cstdio>
#include <string>
#include <utility>

#include <portolan/portolan.hpp>

struct Job {
  std::string scene;
  portolan::MessagePort reply;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& scene& reply;
  }
};

static std::string render(const Job& job) {
  return "a picture of " + job.scene;
}

int main() {
  portolan::MessageChannel jobs;
  portolan::MessageChannel answer;

  jobs.port2.on_message<Job>([](Job job) { job.reply.post_message(render(job)); });
  answer.port1.on_message<std::string>([&](std::string picture) {
    std::printf("%s\n", picture.c_str());
    jobs.port1.close();
  });

  jobs.port1.post_message(Job{"the harbour", std::move(answer.port2)});
  portolan::EventLoop::current().run();  // returns when both channels are closed
}
