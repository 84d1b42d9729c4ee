#include "cli/app.h"

#include <algorithm>
#include <exception>
#include <string_view>

namespace precis::cli {
namespace {

// The subcommand that was being parsed: "precis config resolve".
std::string command_line_of(const CLI::App& app) {
  std::string text = app.get_name();
  for (const CLI::App* command = &app; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    text += " " + command->get_name();
  }
  return text;
}

int fail_parsing(const CLI::App& app, const CLI::ParseError& error, Session& session) {
  return session.fail(Error(ErrorCode::invalid_argument, error.what(),
                            "see `" + command_line_of(app) + " --help`"));
}

}  // namespace

int run_app(CLI::App& app, int argc, char** argv, Session& session, const int& result) {
  int code = kUnreadable;
  session.arguments.assign(argv + 1, argv + argc);
  try {
    app.parse(argc, argv);
    code = result;
  } catch (const CLI::Success& request) {
    std::ostringstream text;
    code = app.exit(request, text, text);
    session.json = false;
    session.write(text.str());
  } catch (const CLI::ParseError& error) {
    // Arguments behind the wrong one may not have been read.
    session.json = session.json || std::any_of(argv, argv + argc, [](const char* argument) {
                     return std::string_view(argument) == "--json";
                   });
    code = fail_parsing(app, error, session);
  } catch (const std::exception& error) {
    code = session.fail(Error(ErrorCode::internal, error.what()));
  }
  return session.finish(code);
}

}  // namespace precis::cli
