// The commands of `precis` that run networks; `precis` itself starts this program for them.
#include <fmt/format.h>

#include <exception>

#include "cli/networks/commands.h"

int main(int argc, char** argv) {
  using namespace precis::cli;
  CLI::App app{"The commands of precis that run networks", "precis"};
  app.require_subcommand(1);
  Session session;
  int result = kDone;
  add_generate(app, session, result);
  add_embed(app, session, result);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kDone : kBadUse;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error[internal]: {}\n", error.what());
    return kUnreadable;
  }
  return result;
}
