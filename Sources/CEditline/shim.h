#ifndef FUSEBOX_CEDITLINE_SHIM_H
#define FUSEBOX_CEDITLINE_SHIM_H
#include <stdio.h>
#include <editline/readline.h>
#endif
