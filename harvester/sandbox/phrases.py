"""Words the sandbox writes listings with: invented, in two languages where a provider serves two."""

from __future__ import annotations

CITIES: tuple[tuple[str, str, tuple[int, int]], ...] = (
    ("Montréal", "QC", (45, -74)),
    ("Trois-Rivières", "QC", (46, -73)),
    ("L'Île-Perrot", "QC", (45, -74)),
    ("Saint-Hyacinthe", "QC", (45, -73)),
    ("Rouyn-Noranda", "QC", (48, -79)),
    ("Austin", "TX", (30, -98)),
    ("Coeur d'Alene", "ID", (47, -117)),
    ("Doña Ana", "NM", (32, -107)),
    ("Truth or Consequences", "NM", (33, -108)),
    ("Winston-Salem", "NC", (36, -81)),
    ("O'Fallon", "MO", (38, -91)),
    ("Kailua-Kona", "HI", (19, -156)),
)
COUNTIES = ("Travis", "Prince George's", "Montérégie", "Doña Ana", "St. Louis", "Kootenai")
STREETS = ("Maple", "Côte-des-Neiges", "O'Brien", "Lakeside", "St. Mary's", "Sagebrush", "Élan", "Rio Grande", "7th")
STREET_SUFFIXES = ("Street", "Avenue", "Rd", "Boulevard", "Ct", "Chemin")
SCHOOLS = ("Lincoln", "École Saint-Jean", "Washington-Carver", "St. Mary's", "Eastside", "Ñandú Academy")
FIRST_NAMES = ("Zoë", "Luc", "María José", "O'Neil", "Anne-Marie", "Søren", "Łukasz", "Priya", "Kenji", "Grace")
LAST_NAMES = ("Tremblay", "O'Connor", "García Márquez", "Lefèvre", "van der Berg", "Nguyễn", "Smith", "Jones-Bell")
OFFICES = ("Harbour Realty", "Immobilier Étoile", "O'Hara & Sons", 'The "Blue Door" Group', "Lakeside Homes")

REMARKS: tuple[tuple[str, str], ...] = (
    ("Charming home near the café — a must see!", "Charmante maison près du café — à voir absolument !"),
    ("Sunny corner lot 🌞 with mature maples 🍁.", "Terrain de coin ensoleillé 🌞 avec érables matures 🍁."),
    ('The kitchen is "chef grade", counters 5\' deep.', "La cuisine est de « calibre chef », comptoirs de 5'."),
    ("Seller's note: roof redone in 2019.", "Note du vendeur : toiture refaite en 2019."),
    ("Open plan;\u2028two lines from an old word processor.", "Aire ouverte ;\u2028deux lignes d'un vieux logiciel."),
    ("Line one.\nLine two.\tTabbed.", "Ligne un.\nLigne deux.\tTabulée."),
    ("Path C:\\photos\\house is not public.", "Le chemin C:\\photos\\maison n'est pas public."),
    ("100 % financing possible; fees < $500 & > $0.", "Financement à 100 % possible ; frais < 500 $ et > 0 $."),
    ("Walk to schools, parks and the 24/7 tramway.", "À pied : écoles, parcs et tramway 24/7."),
    ("Price reduced. Bring all offers by 1/2/2026.", "Prix réduit. Présentez vos offres avant le 1/2/2026."),
    ("View over the Saint-Laurent, façade in stone.", "Vue sur le Saint-Laurent, façade en pierre."),
    ("日本庭園 in the back yard.", "日本庭園 dans la cour arrière."),
)
INTRODUCTIONS: tuple[tuple[str, str], ...] = (
    ("Twenty years of experience in your neighbourhood.", "Vingt ans d'expérience dans votre quartier."),
    ("Your home is my first concern 🏡.", "Votre maison est ma priorité 🏡."),
    ("Speaks English, French and Português.", "Parle anglais, français et português."),
)
EXPENSES: tuple[tuple[str, str], ...] = (
    ("Municipal taxes", "Taxes municipales"),
    ("School taxes", "Taxes scolaires"),
    ("Electricity", "Électricité"),
    ("Condominium fees", "Frais de copropriété"),
)
ROOMS: tuple[tuple[str, str], ...] = (
    ("Kitchen", "Cuisine"),
    ("Living Room", "Salon"),
    ("Primary Bedroom", "Chambre principale"),
    ("Bedroom", "Chambre"),
    ("Bathroom", "Salle de bains"),
    ("Den / Office", "Bureau"),
)

WORDS: dict[str, tuple[str, ...]] = {
    "style": ("Craftsman", "Ranch", "Contemporary", "Tudor", "Mid-Century Modern", "A-Frame"),
    "basement": ("Finished", "Crawl Space", "Walk-Out Access", "None"),
    "walls": ("No Common Walls", "End Unit", "1 Common Wall"),
    "materials": ("Brick", "HardiPlank Type", "Stone", "Stucco", "Wood Siding", "Adobe", "Log"),
    "foundation": ("Slab", "Pillar/Post/Pier", "Concrete Perimeter"),
    "condition": ("Updated/Remodeled", "New Construction", "Fixer", "To Be Built"),
    "roof": ("Composition", "Metal", "Tile", "Shingle", "Tar/Gravel"),
    "accessibility": ("Accessible Doors", "Grip-Accessible Features", "Stair Lift"),
    "appliances": ("Dishwasher", "Disposal", "Dryer", "Gas Oven", "Microwave", "Range Hood", "Refrigerator", "Washer"),
    "cooling": ("Central Air", "Ceiling Fan(s)", "Evaporative Cooling", "Wall Unit(s)"),
    "fireplace": ("Gas Log", "Wood Burning", "Living Room", "Double Sided"),
    "flooring": ("Carpet", "Hardwood", "Tile", "Vinyl", "Bamboo", "Concrete"),
    "heating": ("Forced Air", "Heat Pump", "Baseboard", "Radiant", "Wood Stove"),
    "interior": (
        "Breakfast Bar",
        "Built-in Features",
        "Crown Molding",
        "Eat-in Kitchen",
        "High Ceilings",
        "Wet Bar",
        "Kitchen Island",
        "Open Floorplan",
        "Pantry",
        "Quartz Counters",
        "Walk-In Closet(s)",
    ),
    "laundry": ("In Hall", "Laundry Room", "Main Level", "Washer Hookup"),
    "equipment": ("Generator", "Home Theater", "Irrigation Equipment", "Satellite Dish"),
    "security": ("Carbon Monoxide Detector(s)", "Gated Community", "Smoke Detector(s)", "Security System"),
    "windows": ("Double Pane Windows", "Skylight(s)", "Storm Window(s)"),
    "exterior": ("Balcony", "Garden", "Gas Grill", "Lighting", "Private Yard", "Rain Gutters", "Tennis Court(s)"),
    "fencing": ("Back Yard", "Chain Link", "Full", "Wood", "Wrought Iron"),
    "structures": ("Barn(s)", "Gazebo", "Guest House", "Shed(s)"),
    "parking": ("Attached", "Carport", "Driveway", "Garage Door Opener", "Off Street", "RV Access/Parking"),
    "patio": ("Covered", "Deck", "Front Porch", "Screened", "Wrap Around"),
    "pool": ("In Ground", "Heated", "Salt Water", "Fenced"),
    "view": ("City", "Hills", "Mountain(s)", "Trees/Woods", "Water"),
    "waterfront": ("Lake Front", "River Access", "Creek"),
    "lot": ("Back Yard", "Corner Lot", "Cul-De-Sac", "Level", "Sprinklers In Front", "Wooded", "Views"),
    "road": ("City Street", "County Road", "Private Road"),
    "amenities": ("Clubhouse", "Fitness Center", "Park", "Playground", "Pool", "Trail(s)", "Sidewalks"),
    "fee": ("Maintenance Grounds", "Snow Removal", "Trash", "Water"),
    "electric": ("220 Volts", "Circuit Breakers", "Photovoltaics Seller Owned"),
    "green": ("Appliances", "HVAC", "Insulation", "Windows"),
    "pets": ("Cats OK", "Dogs OK", "Number Limit", "Breed Restrictions"),
    "sewer": ("Public Sewer", "Septic Tank"),
    "utilities": ("Cable Available", "Electricity Connected", "Natural Gas Available", "Phone Available"),
    "water": ("Public", "Well", "Cistern"),
    "disclosures": ("Lead Based Paint", "Easements", "Owner is Agent"),
    "exclusions": ("Curtains, personal effects", "Garden dwarfs", "Washer & dryer"),
    "inclusions": ("Fridge, stove, dishwasher", "Light fixtures", "Hot tub \u201cas is\u201d"),
    "terms": ("Cash", "Conventional", "FHA", "USDA Loan", "VA Loan", "Owner May Carry"),
    "lockbox": ("Combo", "SUPRA", "None"),
    "possession": ("Close Of Escrow", "Negotiable", "30 Days"),
}
