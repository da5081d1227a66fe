def make_race_page(place):
    return "todo"
