// The files that a new plugin begins with.
#pragma once

#include <span>
#include <string_view>

namespace precis::cli {

struct TemplateFile {
  std::string_view language, name, content;  // "c", "plugin.c", its text
};

// Those of plugin_api/template, compiled in, so that the command needs no installed files.
std::span<const TemplateFile> plugin_template_files();

// What a plugin is called in them.
inline constexpr std::string_view kTemplateName = "my_method";

}  // namespace precis::cli
