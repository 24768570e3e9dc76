/* date.c — dates without libc: strftime and timegm depend on locale and time zone and cost too
 * much. */
#include "http/date.h"

#include "base/clock.h"
#include "base/err.h"

enum { DATE_BYTES = 29 };

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char *const long_days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

typedef struct moment {
    int64_t year;
    int month, day; /* from 1 */
    int hour, minute, second;
} moment;

/* Days since 1970-01-01 of a date in the Gregorian calendar; years begin in March so that the leap
 * day is last. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, moment *m)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    m->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    m->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    m->year = yoe + era * 400 + (m->month <= 2);
}

static void put2(char *out, int v)
{
    out[0] = (char)('0' + v / 10 % 10);
    out[1] = (char)('0' + v % 10);
}

void date_format(int64_t epoch_s, char out[32])
{
    int64_t days = epoch_s / 86400;
    int rest = (int)(epoch_s % 86400);
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    moment m;
    date_of_days(days, &m);
    int weekday = (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", DATE_BYTES + 1);
    memcpy(out, day_names + 3 * weekday, 3);
    put2(out + 5, m.day);
    memcpy(out + 8, month_names + 3 * (m.month - 1), 3);
    put2(out + 12, (int)(m.year / 100 % 100));
    put2(out + 14, (int)(m.year % 100));
    put2(out + 17, rest / 3600);
    put2(out + 20, rest / 60 % 60);
    put2(out + 23, rest % 60);
}

str date_now(void)
{
    static struct {
        int64_t second;
        char text[32];
    } cached = {.second = INT64_MIN};
    int64_t second = clock_wall_ms() / 1000;
    if (second != cached.second) {
        date_format(second, cached.text);
        cached.second = second;
    }
    return str_of(cached.text, DATE_BYTES);
}

/* `n` digits at *s, which moves on. -1 when there are others. */
static int take_digits(str *s, int n)
{
    int v = 0;
    if (s->n < (size_t)n) {
        return -1;
    }
    for (int i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return -1;
        }
        v = v * 10 + (s->p[i] - '0');
    }
    *s = str_from(*s, (size_t)n);
    return v;
}

static bool take_text(str *s, str text)
{
    if (!str_has_prefix(*s, text)) {
        return false;
    }
    *s = str_from(*s, text.n);
    return true;
}

static bool take_month(str *s, int *month)
{
    for (int i = 0; i < 12; i++) {
        if (take_text(s, str_of(month_names + (ptrdiff_t)3 * i, 3))) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_time(str *s, moment *m)
{
    m->hour = take_digits(s, 2);
    bool colons = take_text(s, STR(":"));
    m->minute = take_digits(s, 2);
    colons = take_text(s, STR(":")) && colons;
    m->second = take_digits(s, 2);
    return colons && m->hour >= 0 && m->minute >= 0 && m->second >= 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" after the day name */
static bool parse_imf(str s, moment *m)
{
    m->day = take_digits(&s, 2);
    bool ok = take_text(&s, STR(" ")) && take_month(&s, &m->month) && take_text(&s, STR(" "));
    m->year = ok ? take_digits(&s, 4) : -1;
    return ok && take_text(&s, STR(" ")) && take_time(&s, m) && str_eq(s, STR(" GMT"));
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" after the day name */
static bool parse_rfc850(str s, moment *m)
{
    m->day = take_digits(&s, 2);
    bool ok = take_text(&s, STR("-")) && take_month(&s, &m->month) && take_text(&s, STR("-"));
    int year = ok ? take_digits(&s, 2) : -1;
    if (year < 0) {
        return false;
    }
    /* RFC 9110 §5.6.7: more than 50 years in the future means the past century */
    moment today;
    date_of_days(clock_wall_ms() / 86400000, &today);
    m->year = today.year - today.year % 100 + year;
    if (m->year > today.year + 50) {
        m->year -= 100;
    }
    return take_text(&s, STR(" ")) && take_time(&s, m) && str_eq(s, STR(" GMT"));
}

/* "Sun Nov  6 08:49:37 1994" after the day name */
static bool parse_asctime(str s, moment *m)
{
    if (!take_month(&s, &m->month) || !take_text(&s, STR(" "))) {
        return false;
    }
    m->day = take_text(&s, STR(" ")) ? take_digits(&s, 1) : take_digits(&s, 2);
    if (!take_text(&s, STR(" ")) || !take_time(&s, m) || !take_text(&s, STR(" "))) {
        return false;
    }
    m->year = take_digits(&s, 4);
    return s.n == 0;
}

static bool parse_any(str s, moment *m)
{
    for (int i = 0; i < 7; i++) {
        str full = str_c(long_days[i]);
        str rest = s;
        if (take_text(&rest, full)) {
            return take_text(&rest, STR(", ")) && parse_rfc850(rest, m);
        }
        if (take_text(&rest, str_of(full.p, 3))) {
            if (take_text(&rest, STR(", "))) {
                return parse_imf(rest, m);
            }
            return take_text(&rest, STR(" ")) && parse_asctime(rest, m);
        }
    }
    return false;
}

int date_parse(str s, int64_t *epoch_s)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    moment m = {0};
    if (!parse_any(s, &m) || m.year < 0 || m.day < 1 || m.day > month_days[m.month - 1] ||
        m.hour > 23 || m.minute > 59 || m.second > 60) {
        return ERR_INVALID;
    }
    *epoch_s = days_of(m.year, m.month, m.day) * 86400 + m.hour * 3600 + m.minute * 60 + m.second;
    return 0;
}
