#include "../LiveLinkStubs.h"
