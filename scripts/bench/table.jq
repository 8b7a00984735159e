# From the rows (--slurpfile rows) and the values that were noted of them (input, slurped): each row with both sides' medians,
# spreads and ratio, and whether it reaches what is asked for.

def median: sort | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2] + .[length / 2 - 1]) / 2 end;
def side(row; side): [.[] | select(.row == row and .side == side).value]
    | if length == 0 then null else {median: median, least: min, most: max, all: .} end;
def holds(sign; value; bound):
    if sign == "<=" then value <= bound elif sign == "<" then value < bound
    elif sign == ">=" then value >= bound else value > bound end;

. as $values
| [$rows[0][] | . as $row
    | .khd = ($values | side($row.same // $row.row; "khd"))
    | .other = ($values | side($row.peer // $row.row; "peer"))
    | select(.khd)
    | .judged = (if .value then .khd.median elif .other then .khd.median / .other.median else null end)
    | .reached = (if .judged then holds($row.ratio // $row.value; .judged; $row.reach) else null end)]
